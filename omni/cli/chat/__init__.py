"""`omni chat`: talk to an agent from the terminal."""
