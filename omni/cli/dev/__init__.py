"""`omni dev`: a server and a bot in one terminal, for whoever writes the bot."""
