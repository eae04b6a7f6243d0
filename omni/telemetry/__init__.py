"""Logs and metrics: what an operator of the server watches."""
