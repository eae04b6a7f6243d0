"""What the channels that go through Twilio share: signatures, credentials, its Python package."""
