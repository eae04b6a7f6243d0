"""Calls of the simulated platform: its signalling, and real sound of the pretend users over WebRTC."""
