"""The tables of an index."""
