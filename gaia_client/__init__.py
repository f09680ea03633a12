"""The Python client and the command line. Needs the service's contract and the pure core, and nothing of the server."""
