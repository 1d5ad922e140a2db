"""An index over time: its generations, the one that answers, rebuilding and following changes."""
