"""Requests to addresses that other people gave us: webhooks, tools, links. They reach what the operator allows."""
