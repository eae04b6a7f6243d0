"""The composition root: the one place where engines and roles are chosen."""
