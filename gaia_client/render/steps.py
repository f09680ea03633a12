"""Steps as a person reads them: tables, how an attempt failed, and why a Step is where it is."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from gaia_client.render import events
from gaia_client.render.blocks import STYLES, Block, Grid, Text, counted, moment
from gaia_client.render.reasons import REASONS, link_words

LOG_LINES_SHOWN: Final = 10


def steps(reply: Sequence[dict[str, Any]], truncated: bool = False) -> list[Block]:
    """Show a table of Steps."""
    if not reply:
        return [Text("No Steps.", "dim")]
    has_progress = any("progress" in each for each in reply)
    rows = tuple(
        (each["name"], each["state"], each["command"], str(each["attempt"]), each["worker"],
         str(each["missing-inputs"] or ""), *([progress(each.get("progress"))] if has_progress else []))
        for each in reply
    )  # fmt: skip
    columns = ("STEP", "STATE", "COMMAND", "ATTEMPT", "WORKER", "MISSING", *(["PROGRESS"] if has_progress else []))
    grid = Grid(columns, rows, frozenset({"ATTEMPT", "MISSING"}))
    return [grid, Text(f"… and more than these {len(reply):,}; raise --limit", "dim")] if truncated else [grid]


def progress(said: dict[str, Any] | None) -> str:
    """Return how far an attempt is, "" where it does not say."""
    return events.progress(said) if said is not None else ""


def failure(begin: str, failed: dict[str, Any]) -> list[Block]:
    """Show how an attempt failed, in a line that begins so, and its last words."""
    return [Text(f"{begin} ({failed['class']}, {_attempt(failed)}): {failed['message']}", "red"), *_last_words(failed)]


def explanations(reply: Sequence[dict[str, Any]], truncated: bool = False) -> list[Block]:
    """Show why Steps wait, ran or will run, with an empty line between them."""
    blocks: list[Block] = [block for each in reply for block in (Text(""), *_explanation(each))][1:]
    return [*blocks, Text(f"… and more than these {len(reply):,}; name single Steps", "dim")] if truncated else blocks


def _explanation(reply: dict[str, Any]) -> Iterator[Block]:
    yield Text(f"{reply['step']} ({reply['state']})", STYLES.get(reply["state"], ""))
    yield from _where_it_stands(reply)
    yield Text(f"why: {REASONS.get(reply['reason'], reply['reason'])}")
    for depth, link in enumerate(reply["chain"], start=1):
        yield Text(f"{'  ' * depth}{link['step']}: {link_words(link)}")
    yield from _waits_for(reply)


def _where_it_stands(reply: dict[str, Any]) -> Iterator[Block]:
    """Show the summary, and what it leaves out: how an attempt failed, or which was the last one."""
    failed = reply["failure"]
    if failed and reply["state"] in ("failed", "retrying"):
        yield from failure("failed", {**reply, **failed})
    else:
        yield Text(reply["summary"])
        if failed:
            yield Text(f"an earlier attempt failed ({failed['class']}): {failed['message']}", "red")
            yield from _last_words(failed)
        elif reply["attempt"] and reply["state"] in ("waiting", "ready"):
            yield Text(f"the last one was {_attempt(reply)}", "dim")
    if reply["image-digest"]:
        yield Text(f"ran the image {reply['image-digest']}", "dim")
    if reply["retry-at"]:
        yield Text(f"tried again at {moment(reply['retry-at'])}", "yellow")


def _waits_for(reply: dict[str, Any]) -> Iterator[Block]:
    """Show the Keys that are not there, each with those who will write it."""
    wanted = reply["waits-for"]
    if wanted:
        yield Text(f"waits for {counted(reply['waits-for-count'], 'key')}:")
    for key in wanted:
        yield Text(f"  {key['key']}  {_writers(key)}", "" if key["writers"] else "magenta")
    if reply["waits-for-count"] > len(wanted):
        yield Text(f"  … and {reply['waits-for-count'] - len(wanted):,} more", "dim")


def _writers(key: dict[str, Any]) -> str:
    """Return "from count-one (running), count-two (waiting)"."""
    if not key["writers"]:
        return "no Step writes it"
    more = key["writers-count"] - len(key["writers"])
    shown = [f"{each['step']} ({each['state']})" for each in key["writers"]]
    return f"from {', '.join(shown)}{f' and {more:,} more' if more > 0 else ''}"


def _last_words(failed: dict[str, Any]) -> list[Block]:
    return [Text(f"  | {line}", "dim") for line in failed["log-tail"].splitlines()[-LOG_LINES_SHOWN:]]


def _attempt(failed: dict[str, Any]) -> str:
    return f"attempt {failed['attempt']}" + (f" on {failed['worker']}" if failed["worker"] else "")
