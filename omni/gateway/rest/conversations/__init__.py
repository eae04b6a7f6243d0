"""Conversations, as they are listed and read."""
