"""What is going on right now: calls as they grow, and the programs that are connected."""
