"""What the bot says, from pieces of sound to what the caller has heard."""
