"""Agents: what they are asked and answered as, and the routes."""
