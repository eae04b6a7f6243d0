"""The inbox: what the page at `/inbox` asks for, and what pushes to it."""
