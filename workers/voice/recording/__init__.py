"""Recordings of calls: both parties as they were heard, the caller left and the bot right."""
