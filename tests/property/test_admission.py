"""Streams of Steps of all sizes on fleets of all kinds: nobody is over-committed, and nobody starves."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.handle import dispatch, handle
from gaia_core.machine.outcomes import reports
from gaia_core.machine.state import Deployment
from gaia_core.scheduling import invariants
from gaia_core.workflow.model import Fence, Options, Resources
from tests.unit.machine.deployment import COMMANDS, make

FLOWS = ("a", "b", "c")
RUN_MS = 4_000
SLICE_MS = 1_000


class Stream:
    """A deployment whose workers end one attempt after another while more and more Steps come."""

    def __init__(self, seed: int, workers: list[tuple[int, int, int]]) -> None:
        self.random = Random(seed)
        self.state = Deployment()
        self.number = 0
        self.now_ms = 1_000
        self.sizes = max(cpus for cpus, _, _ in workers)
        for flow in FLOWS:
            self.batch(rq.Upload(flow, {}, COMMANDS, ()))
        for number, (cpus, slots, prefetch) in enumerate(workers):
            hello = rp.Hello("default", slots, prefetch, 0, 0, "x", "h", resources=Resources(cpus=float(cpus)))
            self.batch(said=rp.WorkerReports(f"w{number}", "i1", (hello,)))

    def batch(self, request: rq.Request | None = None, said: rp.WorkerReports | None = None) -> None:
        """Enter one input, and dispatch."""
        self.state.now_ms = self.now_ms
        decision = Decision(self.state)
        if request is not None:
            handle(decision, request)
        if said is not None:
            reports(decision, said)
        dispatch(decision)

    def come(self, flow: str, cpus: int) -> str:
        """Let a Step come that demands so many processors."""
        self.number += 1
        name = f"s{self.number}"
        options = Options(resources=Resources(cpus=float(cpus)) if cpus else None)
        self.batch(rq.Merge(flow, (make(name, name, options=options),)))
        return name

    def go_on(self, pressure: int) -> None:
        """Let time pass: what ran long enough ends, and small Steps come, as many as anybody can take."""
        self.now_ms += SLICE_MS
        for name, worker in list(self.state.fleet.workers.items()):
            running = list(worker.held)[: worker.slots]
            ended = [one for one in running if self.now_ms - worker.since_ms[one] >= RUN_MS]
            if ended:
                self.batch(said=rp.WorkerReports(name, "i1", tuple(rp.Completed(Fence(*one)) for one in ended)))
        for _ in range(pressure):
            self.come(self.random.choice(FLOWS), self.random.choice((0, 1, 1, 1)))
        invariants.check(self.state.fleet, self.state.ready, self.state.workflows.values())

    def word(self, flow: str, name: str) -> str:
        """Return a Step's state."""
        return self.state.workflows[flow].by_name[name].state.word


fleets = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), workers=fleets)
def test_the_largest_step_runs_however_many_small_ones_come(seed: int, workers: list[tuple[int, int, int]]) -> None:
    """It has its place within the time that it may be passed over, and a few times that what runs takes."""
    stream = Stream(seed, workers)
    for _ in range(4):
        stream.go_on(pressure=8)
    stream.batch(rq.Upload("large", {}, COMMANDS, ()))
    large = stream.come("large", stream.sizes)
    for _ in range(100):
        stream.go_on(pressure=2)
        if stream.word("large", large) != "ready":
            break
    assert stream.word("large", large) in ("running", "complete")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**20), workers=fleets)
def test_everything_that_fits_somewhere_comes_to_its_end(seed: int, workers: list[tuple[int, int, int]]) -> None:
    """Whatever mixture there is, no Step is left over; and what fits nowhere stays ready."""
    stream = Stream(seed, workers)
    sizes = [stream.random.randint(0, stream.sizes + 1) for _ in range(40)]
    names = [(flow, stream.come(flow, cpus), cpus) for cpus in sizes for flow in [stream.random.choice(FLOWS)]]
    for _ in range(250):
        stream.go_on(pressure=0)
    words = Counter(stream.word(flow, name) for flow, name, _ in names)
    too_large = sum(cpus > stream.sizes for cpus in sizes)
    assert words == Counter(complete=len(sizes) - too_large) + Counter(ready=too_large)


@pytest.mark.parametrize("different", [1, 40, 300])
def test_the_cost_of_a_step_does_not_grow_with_those_that_find_no_room(different: int) -> None:
    """However many different demands wait, one round tries a few: counted, not timed."""
    stream = Stream(1, [(2, 1, 0)])
    stream.come("a", 2)
    for number in range(different):
        options = Options(resources=Resources(cpus=3 + number / 1_000))
        stream.batch(rq.Merge("b", (make(f"x{number}", f"x{number}", options=options),)))
    lane = stream.state.ready.pools["default"][stream.state.workflows["b"].uid]
    assert sum(1 for _ in lane.heads()) == min(different, 64)
