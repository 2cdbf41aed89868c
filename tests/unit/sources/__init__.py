"""Tests of the readers. All data is invented."""
