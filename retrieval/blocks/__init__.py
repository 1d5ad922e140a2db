"""Texts as blocks that are better not cut, by what they are written in."""
