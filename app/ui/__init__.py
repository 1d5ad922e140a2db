"""The Textual interface: the only code that imports textual."""
