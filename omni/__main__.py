"""`python -m omni` is `omni`."""

from omni.cli import main

main(prog_name="omni")
