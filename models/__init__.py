"""Language models on this machine: finding, downloading, planning and running GGUF files."""
