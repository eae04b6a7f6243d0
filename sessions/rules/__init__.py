"""The rules of a text conversation, one story a file. Pure: time, ids and settings come in as arguments."""
