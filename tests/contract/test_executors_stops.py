"""A stop at each stage of an attempt, stated once for every executor: nothing is published, nothing is left."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gaia_core.machine.reports import Cancelled, Report
from gaia_worker.control import Control
from tests.contract.executor_site import Site, given, output
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import execution

SECONDS_FOR_QUICK = 20


def test_cancel_kills_at_once(site: Site) -> None:
    """A cancelled program is killed, however it feels about it, and publishes nothing."""
    control, ends = Control(), list[Report]()
    store = site.store

    def work() -> None:
        script = "trap '' TERM; echo started; while :; do sleep 1; done"
        ends.append(site.shell(script, control=control, stdout="/work/o", outputs=(output("o", "/work/o"),)))

    thread = threading.Thread(target=work)
    thread.start()
    scratch = site.attempts.scratch
    try:
        wait_until(lambda: any(path.read_text() for path in scratch.glob("*/outputs/0/o")), "the program's first words")
    finally:
        control.cancel()
        thread.join(SECONDS_FOR_QUICK)
    assert ends == [Cancelled(execution().fence)]
    assert store.paths() == [".gaia/logs/flow/5/0-1"]  # what it said is kept, for people


@pytest.mark.parametrize("stage", ["open", "put_open"])
def test_cancel_while_files_move(site: Site, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """A cancel while inputs are fetched starts no program; one while outputs are stored publishes none of them."""
    control = Control()
    inputs = (given("in", "/work/in", site.put("in", "1")),)
    does = getattr(site.store, stage)

    def cancelled_meanwhile(*values: Any, **more: Any) -> Any:
        control.cancel()
        return does(*values, **more)

    monkeypatch.setattr(site.store, stage, cancelled_meanwhile)
    end = site.shell("echo x > /work/o", control=control, inputs=inputs, outputs=(output("o", "/work/o"),))
    assert end == Cancelled(execution().fence)
    assert control.has_started == (stage == "put_open")


def test_cancel_before_anything(site: Site) -> None:
    """An attempt that is cancelled before it began runs nothing."""
    control = Control()
    control.cancel()
    assert site.shell("true", control=control) == Cancelled(execution().fence)
    assert not control.has_started


def test_cancel_at_any_moment_of_the_start(site: Site) -> None:
    """Whenever the cancel comes while a program is being started, it ends the attempt and leaves nothing."""
    for delay_s in (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2):
        control = Control()
        timer = threading.Timer(delay_s, control.cancel)
        timer.start()
        end = site.shell("trap '' TERM; while :; do sleep 1; done", control=control)
        timer.join()
        assert end == Cancelled(execution().fence)
        site.check_clean()
