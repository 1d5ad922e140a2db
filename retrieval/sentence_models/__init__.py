"""Models of sentence-transformers: where they are, what their files say, what runs them."""
