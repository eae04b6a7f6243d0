"""The configuration that programs send, in all its spellings, as our own `Agent` and `Overrides`."""
