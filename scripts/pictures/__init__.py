"""The inbox of the documentation's pictures: a shop's day, told on a real server."""
