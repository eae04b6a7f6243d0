"""Talking to an agent from a terminal: the sound of one machine, over a WebSocket of our own."""
