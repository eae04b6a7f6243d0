"""The real-time voice worker: one actor for each call with sound, whatever channel it came by."""
