"""Messages, sent and read."""
