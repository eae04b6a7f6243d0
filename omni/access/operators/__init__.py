"""Who may sign in to the inbox, how they prove it, and for how long it holds."""
