"""Finding passages in a folder of notes: reading, chunking, indexing and hybrid search."""
