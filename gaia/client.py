"""The client under the name it had in the original system: `from gaia.client import Gaia`."""

from gaia_client.client import Gaia

__all__ = ["Gaia"]
