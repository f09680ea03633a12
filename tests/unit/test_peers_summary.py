"""What the benchmark beside peers makes of its runs."""

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environments import HERE
from benchmarks.peers.running import figures
from benchmarks.peers.summary import bars, ratios, summaries


def results(subject, *, wide_s, submit_s=0.0, chain_s=1.0):
    """Return runs of 1,000 tasks and chains of 100, one for each wide_s."""
    return [
        {"on": subject, **run}
        for seconds in wide_s
        for run in (figures("wide", 1000, seconds, submit_s), figures("chain", 100, chain_s))
    ]


def compared(*runs):
    return ratios(summaries([result for run in runs for result in run]))


def test_medians_stand_with_their_spread():
    """Each figure of each subject is a median with the least and the most."""
    found = summaries(results("embedded", wide_s=[1.0, 0.5, 0.25]))
    assert [(one["what"], one["min"], one["median"], one["max"], one["repetitions"]) for one in found] == [
        ("wide", 1000.0, 2000.0, 4000.0, 3),
        ("wide with submission", 1000.0, 2000.0, 4000.0, 3),
        ("chain", 10.0, 10.0, 10.0, 3),
    ]


def test_ratios_say_how_many_times_as_fast_gaia_is():
    """A ratio above one means that Gaia is faster: more tasks a second, fewer milliseconds each."""
    gaia = results("embedded", wide_s=[0.1], submit_s=0.1, chain_s=0.1)
    found = compared(gaia, results("other", wide_s=[1.0], chain_s=0.5))
    assert found == {"wide": {"other": 10.0}, "wide with submission": {"other": 5.0}, "chain": {"other": 5.0}}


def test_handing_work_in_counts_on_the_second_clock_only():
    """What handing work in takes before the clock starts slows the figure with submission, not the other one."""
    assert figures("wide", 1000, 0.5, 1.5)["steps_per_s"] == 2000
    assert figures("wide", 1000, 0.5, 1.5)["steps_per_s_with_submission"] == 500


def test_the_sweep_is_shown_and_compared_with_nobody():
    """Gaia's Steps uploaded as a sweep have figures of their own and are no peer."""
    found = summaries(results("embedded", wide_s=[0.1]) + results("embedded sweep", wide_s=[0.1]))
    assert {one["on"] for one in found} == {"embedded", "embedded sweep"}
    assert ratios(found) == {"wide": {}, "wide with submission": {}, "chain": {}}


def test_a_peer_without_chains_is_compared_by_its_wide_runs():
    """A subject that did not run a benchmark has no figure and no ratio of it."""
    only_wide = [one for one in results("other", wide_s=[1.0]) if one["benchmark"] == "wide"]
    assert compared(results("embedded", wide_s=[0.1]), only_wide)["chain"] == {}


def test_the_bar_is_over_the_best_of_the_peers_that_count():
    """The bar looks at the fastest peer that counts, and at no other."""
    gaia = results("embedded", wide_s=[0.1])
    slow, fast, other = (results(name, wide_s=[s]) for name, s in (("slow", 5.0), ("fast", 0.4), ("other", 0.1)))
    (bar, best), (_, again) = bars(compared(gaia, slow, fast, other), {"the best": ["slow", "fast", "absent"]})
    assert (best, again, bar.what, bar.value, bar.is_met) == ("fast", "fast", "wide, Gaia / the best", 4.0, False)


def test_without_a_peer_that_counts_there_is_no_bar():
    """A bar needs somebody to compare with."""
    assert bars(compared(results("embedded", wide_s=[0.1])), {"the best": ["fast"]}) == []


def test_each_peer_has_a_program_and_pinned_requirements():
    """What the catalogue names is there, with every version pinned."""
    for peer in PEERS:
        assert (HERE / "programs" / f"with_{peer.installed_as}.py").exists()
        lines = (HERE / "requirements" / f"{peer.installed_as}.txt").read_text().splitlines()
        assert all("==" in line for line in lines)
