"""Telephone calls through Twilio: webhooks, Media Streams, and calls that we place."""
