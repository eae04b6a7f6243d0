"""Sound as numbers: G.711, sample rates, levels, tones, WAV files. Pure; imports nothing of ours."""
