"""Chroma, in this process or on a team's server."""
