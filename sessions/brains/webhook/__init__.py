"""The `webhook` brain: a developer's HTTP server answers."""
