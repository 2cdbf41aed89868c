"""Training that stops when told to and forgets when asked."""
