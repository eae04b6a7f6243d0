"""Telephone calls by SIP: trunks, switchboards and phones, and their sound over RTP."""
