"""Implementations of the ports, one file per kind of surroundings."""
