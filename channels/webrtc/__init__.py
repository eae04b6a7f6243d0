"""Calls from a browser: WebRTC, without anything but a page."""
