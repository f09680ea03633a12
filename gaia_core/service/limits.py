"""How much the interfaces take and give at once."""

from typing import Final

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""About 200,000 Steps in one upload. Larger workflows are merged in parts."""
