"""What `omni doctor` looks at."""
