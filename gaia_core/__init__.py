"""The Gaia server: a pure workflow machine, and the shell that journals and carries out what it decides."""
