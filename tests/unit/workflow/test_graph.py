"""The index between Steps and Keys; its counters are recounted by `invariants` wherever the Driver is used."""

import pytest

from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.graph import Graph
from gaia_core.workflow.model import Options, Publication, StepSpec
from gaia_core.workflow.state import Step


def step(name: str) -> Step:
    return Step(-1, FlatStep(name, StepSpec(name, "c"), name, (), ("c",), Options(), {}, (), (), (), ()))


def linked(graph: Graph, name: str, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> Step:
    made = step(name)
    graph.link(made, inputs, outputs)
    return made


def over(graph: Graph, name: str) -> list[str]:
    return sorted(key.name for key in graph.overlapping(name))


def test_overlapping_finds_what_lies_over_and_under() -> None:
    """A Key overlaps the trees over it, a tree also all that lies under it; neither overlaps what looks alike."""
    graph = Graph()
    for name in ("t/", "t/a", "t/u/", "t/u/b", "t", "tt/a", "bucket:t/a", "x"):
        graph.key(name)
    assert over(graph, "t/u/b") == ["t/", "t/u/"]
    assert over(graph, "t/u/") == ["t/", "t/u/b"]
    assert over(graph, "t/") == ["t/a", "t/u/", "t/u/b"]
    assert over(graph, "t") == []
    assert over(graph, "bucket:t/") == ["bucket:t/a"]


@pytest.mark.parametrize("name", ["t/new", "t/new/deep/key", "t/new/tree/"])
def test_overlapping_knows_names_that_are_not_in_the_graph(name: str) -> None:
    """A name need not be known to lie under a tree."""
    graph = Graph()
    graph.key("t/")
    graph.key("other")
    assert over(graph, name) == ["t/"]


@pytest.mark.parametrize("name", ["", "/", "//", "a//b", ":", "bucket:", "bucket:/", "../x"])
def test_names_that_are_no_keys_overlap_nothing(name: str) -> None:
    """Whatever a client asks for, looking it up ends and makes nothing."""
    graph = Graph()
    graph.key("bucket:a/b")
    assert over(graph, name) == []
    assert list(graph.keys) == ["bucket:a/b"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_steps_may_be_linked_in_any_order(order: tuple[int, ...]) -> None:
    """The counters of a read Key come out the same whoever comes first."""
    graph = Graph()
    steps = [("one", (), ("t/a",)), ("two", (), ("t/u/",)), ("reader", ("t/", "t/u/k"), ())]
    for place in order:
        linked(graph, *steps[place])
    tree, key = graph.keys["t/"], graph.keys["t/u/k"]
    assert (tree.writers, tree.pending) == (2, 2)
    assert (key.writers, key.pending) == (1, 1)
    assert list(graph.awaited) == sorted(graph.awaited, key=list(graph.awaited).index)
    assert {one.name for one in graph.awaited} == {"t/", "t/u/k"}


def test_a_key_is_there_when_all_its_writers_are_complete() -> None:
    """Completion is told once, for the Keys that are there only now; revoking takes it back."""
    graph = Graph()
    one, two = linked(graph, "one", (), ("t/a",)), linked(graph, "two", (), ("t/b",))
    linked(graph, "reader", ("t/",))
    tree = graph.keys["t/"]
    assert list(graph.complete(one)) == []
    assert list(graph.complete(two)) == [tree]
    assert tree.is_there
    assert list(graph.complete(two)) == []
    graph.revoke(one)
    assert not tree.is_there
    assert list(graph.awaited) == [tree]


def test_two_outputs_of_one_step_over_a_key_count_each() -> None:
    """A Step whose outputs overlap what is read makes it available as a whole."""
    graph = Graph()
    writer = linked(graph, "writer", (), ("t/", "t/a"))
    linked(graph, "reader", ("t/a",))
    assert graph.keys["t/a"].pending == 2
    assert list(graph.complete(writer)) == [graph.keys["t/a"]]


def test_an_outside_key_is_missing_until_it_arrives() -> None:
    """A Key without a writer is there once it was seen, until it is forgotten."""
    graph = Graph()
    linked(graph, "reader", ("k",))
    key = graph.keys["k"]
    assert list(graph.missing) == [key]
    graph.arrive(Publication("k"))
    assert (key.is_there, list(graph.missing)) == (True, [])
    graph.forget(key)
    assert (key.is_there, list(graph.missing)) == (False, [key])


def test_a_writer_takes_an_outside_key_over() -> None:
    """What lay there before a Step began to write a Key does not count any more, nor after the Step is gone."""
    graph = Graph()
    linked(graph, "reader", ("k",))
    graph.arrive(Publication("k"))
    writer = linked(graph, "writer", (), ("k",))
    assert not graph.keys["k"].is_there
    list(graph.complete(writer))
    graph.unlink([writer])
    assert not graph.keys["k"].is_there
    assert list(graph.missing) == [graph.keys["k"]]


def test_what_a_writer_left_behind_counts_only_once_it_arrives_anew() -> None:
    """An object that a removed writer left does not count when found, in or over its Key; a put makes it count."""
    graph = Graph()
    writer = linked(graph, "writer", (), ("t/k",))
    assert not graph.counts_when_found("t/k")
    graph.unlink([writer])
    assert [graph.counts_when_found(name) for name in ("t/k", "t/", "t/other")] == [False, False, True]
    graph.arrive(Publication("t/k"))
    assert graph.counts_when_found("t/k")


def test_unlinking_leaves_no_trace_in_the_counters() -> None:
    """After its last reader and writer left, a Key counts nothing."""
    graph = Graph()
    steps = [
        linked(graph, "w", (), ("t/a", "t/u/")),
        linked(graph, "r", ("t/", "t/a", "t/u/x")),
        linked(graph, "q", ("t/",)),
    ]
    graph.unlink(steps)
    for key in graph.keys.values():
        assert (key.writer, key.readers, list(key.feeds), key.writers, key.pending) == (None, [], [], 0, 0)
    assert not graph.missing
    assert not graph.awaited
    assert all(not one.inputs and not one.outputs for one in steps)


def test_a_step_that_reads_a_key_twice_is_unlinked_twice() -> None:
    """Two inputs may name one Key."""
    graph = Graph()
    reader = linked(graph, "r", ("k", "k"))
    assert graph.keys["k"].readers == [reader, reader]
    graph.unlink([reader])
    assert graph.keys["k"].readers == []
