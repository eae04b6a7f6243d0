"""Live listening: what is said in a call, for operators who listen in. Costs next to nothing while nobody does."""
