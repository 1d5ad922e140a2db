"""The command line: parsers, commands and how their results are printed."""
