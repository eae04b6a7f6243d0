"""Calls on WhatsApp (the platform's Calling API): signalled over Graph and its webhooks, heard over WebRTC."""
