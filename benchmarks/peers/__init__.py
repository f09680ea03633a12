"""Gaia embedded beside its peers: no-op tasks a second, and milliseconds per task of a chain."""
