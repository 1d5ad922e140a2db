"""The files of a folder: what is there, what is ignored, what each is written in."""
