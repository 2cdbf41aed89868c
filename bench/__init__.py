"""Benchmarks: every speed bar as a ratio between two things measured in one run."""
