"""The telephone side of the stand-in: calls, their TwiML, and Media Streams in real time."""
