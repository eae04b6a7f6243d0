"""What developers' servers are told: their endpoints, the events of a call, and one signed request."""
