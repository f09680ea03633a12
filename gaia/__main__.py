"""`python -m gaia` is the command line."""

from gaia_client.cli.main import main

if __name__ == "__main__":
    main()
