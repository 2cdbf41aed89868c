"""Property tests: one file per law."""
