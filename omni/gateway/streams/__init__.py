"""The call log for those who look on: WebSocket, server-sent events and pages of JSON, behind one cursor."""
