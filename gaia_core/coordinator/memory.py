"""How the garbage collector is kept away from the state: it lives long, and walking it costs more than it frees.

Source: with the default thresholds 100,000 waiting Steps cost a third of the throughput, and a third of the time that
it takes to read them from a snapshot.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def building() -> Iterator[None]:
    """Do without the collector while much is made that lives long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def settle() -> None:
    """Clear away what earlier roles left, and have what there is now passed over from now on, until `unsettle`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


def settle_more() -> None:
    """Have what was made since passed over, too, without looking at it: nothing may stand still for that."""
    gc.freeze()


def unsettle() -> None:
    """Have everything looked at again: a state that is no longer needed has circles, between Steps and Keys."""
    gc.unfreeze()
