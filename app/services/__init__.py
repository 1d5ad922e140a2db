"""Child processes: the engine and the index, and how the app talks to them."""
