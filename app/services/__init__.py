"""Child processes: the engine and the index, and how the app talks to them."""

SOCKET_NAME = "index.sock"
"""Name of the local socket in the index directory."""
