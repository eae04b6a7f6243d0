"""`omni top`: how a server is doing, now."""
