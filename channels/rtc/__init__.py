"""Calls by WebRTC, whoever signals them: one connection (aiortc), its codec, its packets in order, its leg."""
