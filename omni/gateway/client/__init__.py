"""`/client`: the WebSocket on which programs own their agents' conversations."""
