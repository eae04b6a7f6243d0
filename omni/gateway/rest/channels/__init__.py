"""Channels: where an agent is reached."""
