"""Refusals as sentences."""

from __future__ import annotations


class BackupError(Exception):
    """A backup could not be made, or not be restored; the text says why, and the mend."""
