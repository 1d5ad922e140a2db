"""How well the search ranks, measured."""
