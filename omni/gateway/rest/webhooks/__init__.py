"""Webhooks: where a developer's server is told of events."""
