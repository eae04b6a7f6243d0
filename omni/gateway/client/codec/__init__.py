"""The codec: the one place that makes wire events. What happened to a call, and our answers to commands, as the JSON
objects that programs read. Pure: nothing here waits, looks anything up, or keeps anything."""
