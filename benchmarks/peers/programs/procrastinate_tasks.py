"""The task, for procrastinate's workers and for the program that defers it."""

from harness import SERVER
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=SERVER, max_size=20))


@app.task(name="noop")
async def noop() -> None:
    """Do nothing."""
