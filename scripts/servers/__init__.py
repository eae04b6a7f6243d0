"""The real services that the tests use. Standard library only: it runs before anything is installed."""
