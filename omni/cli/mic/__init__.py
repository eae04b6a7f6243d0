"""`omni mic`: talk to an agent from the terminal."""
