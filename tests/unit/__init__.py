"""Unit tests; mirrors `src/sayso`."""
