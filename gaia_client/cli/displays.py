"""How a watch is shown: a view that is drawn over, a line per event, or JSON."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import click

from gaia_client.cli.session import printer
from gaia_client.overview import Overview
from gaia_client.render import events, live

DRAW_EVERY_S: Final = 0.25
"""Faster than that nobody reads; the server sends as many updates."""

DRAW_AGAIN_S: Final = 1.0
"""The pace changes with time, also when nothing happens."""


class Display(Protocol):
    """Shows what a watch gives."""

    def event(self, event: dict[str, Any]) -> None:
        """Show an event."""

    def update(self, update: dict[str, Any]) -> None:
        """Show how a workflow stands now."""

    def draw(self, now_s: float) -> None:
        """Show what changed; called several times a second."""


class LineDisplay:
    """A line per event."""

    def __init__(self, workflow: str | None) -> None:
        self._show = printer()
        self._with_workflow = workflow is None

    def event(self, event: dict[str, Any]) -> None:
        """Print a line."""
        self._show(events.line(event, self._with_workflow))

    def update(self, update: dict[str, Any]) -> None:
        """Print nothing."""

    def draw(self, now_s: float) -> None:
        """Print nothing."""


class JsonDisplay(LineDisplay):
    """A JSON object per event, each on a line of its own."""

    def event(self, event: dict[str, Any]) -> None:
        """Print an object."""
        click.echo(json.dumps(event))


class LiveDisplay:
    """A view of a terminal that is drawn over."""

    def __init__(self, workflow: str | None, screen: Any) -> None:
        self._overview = Overview(workflow)
        self._screen = screen
        self._is_old = True
        self._drawn_s = float("-inf")

    def event(self, event: dict[str, Any]) -> None:
        """Take in an event."""
        self._overview.saw_event(event)
        self._is_old = True

    def update(self, update: dict[str, Any]) -> None:
        """Take in an update."""
        self._overview.saw_update(update)
        self._is_old = True

    def draw(self, now_s: float) -> None:
        """Draw the view anew, unless that was just done."""
        if now_s - self._drawn_s >= (DRAW_EVERY_S if self._is_old else DRAW_AGAIN_S):
            self.draw_now(now_s)

    def draw_now(self, now_s: float) -> None:
        """Draw the view anew."""
        size = self._screen.console.size
        self._screen.update(live.frame(self._overview, now_s, size.width, size.height), refresh=True)
        self._is_old, self._drawn_s = False, now_s


def can_draw() -> bool:
    """Tell whether standard output is a terminal that can be drawn over."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


@contextmanager
def live_display(workflow: str | None, now_s: Callable[[], float]) -> Iterator[LiveDisplay]:
    """Give a view that stays on the terminal as it was last."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(highlight=False), auto_refresh=False) as screen:
        display = LiveDisplay(workflow, screen)
        try:
            yield display
        finally:
            display.draw_now(now_s())
