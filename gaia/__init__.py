"""Gaia: live workflows of containerised command-line Steps whose dependencies are the files they read and write.

    import gaia
    flow = gaia.Gaia({'gaia_host': 'localhost:24442'})

Everything is loaded when it is first asked for, so that `import gaia` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gaia_client.client import Gaia
    from gaia_core.errors import (
        AlreadyExists,
        Bug,
        ConfigError,
        GaiaError,
        InvalidWorkflow,
        NotAllowedNow,
        NotAuthorized,
        ObjectMissing,
        Overloaded,
        Problem,
        RequestError,
        StoreError,
        TooLarge,
        Unavailable,
        UnknownName,
    )

    __version__: str

__all__ = [
    "Gaia",
    "GaiaError",
    "RequestError",
    "InvalidWorkflow",
    "UnknownName",
    "AlreadyExists",
    "NotAllowedNow",
    "TooLarge",
    "NotAuthorized",
    "ConfigError",
    "Unavailable",
    "Overloaded",
    "StoreError",
    "ObjectMissing",
    "Bug",
    "Problem",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load the client or an error class (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'gaia' has no attribute {name!r}")
    if name == "Gaia":
        from gaia_client.client import Gaia  # noqa: PLC0415 - loading it late is the point

        return Gaia
    if name == "__version__":
        from gaia_core.version import VERSION  # noqa: PLC0415

        return VERSION
    from gaia_core import errors  # noqa: PLC0415

    return getattr(errors, name)


def __dir__() -> list[str]:
    """List what can be loaded."""
    return sorted([*globals(), *__all__])
