"""Why a Step is where it is, and why Steps run again, in words."""

from typing import Any

from gaia_client.render import blocks, reasons, steps

FAILURE = {"class": "COMMAND", "message": "exit code 2", "exit-code": 2, "log-tail": "one\ntwo\n"}


def explanation(state: str, **fields: Any) -> dict[str, Any]:
    """Return an explanation with these fields changed."""
    plain = {"step": "s", "state": state, "summary": "stands", "attempt": 0, "worker": "", "reason": "first",
             "chain": [], "waits-for": [], "waits-for-count": 0, "failure": None, "retry-at": None,
             "image-digest": None}  # fmt: skip
    return {**plain, **{name.replace("_", "-"): value for name, value in fields.items()}}


def lines(*told: dict[str, Any]) -> list[str]:
    """Return explanations as lines."""
    return blocks.lines(steps.explanations(told))


def test_a_waiting_step_names_its_keys_and_their_writers() -> None:
    """What is waited for is listed with those who will write it, or with the fact that nobody will."""
    writers = [{"step": "a", "state": "running"}, {"step": "b", "state": "waiting"}]
    wanted = [
        {"key": "tree/", "writers": writers, "writers-count": 5},
        {"key": "in.csv", "writers": [], "writers-count": 0},
    ]
    assert lines(explanation("waiting", attempt=2, worker="w1", waits_for=wanted, waits_for_count=1200)) == [
        "s (waiting)",
        "stands",
        "the last one was attempt 2 on w1",
        "why: it is new",
        "waits for 1,200 keys:",
        "  tree/  from a (running), b (waiting) and 3 more",
        "  in.csv  no Step writes it",
        "  … and 1,198 more",
    ]


def test_a_complete_step_names_the_image_that_it_ran() -> None:
    """A tag may have moved since; the digest tells which image it was."""
    assert lines(explanation("complete", image_digest="sha256:12"))[1:3] == ["stands", "ran the image sha256:12"]


def test_a_chain_leads_to_the_cause() -> None:
    """Each link stands below the one it explains; the last one is the cause."""
    chain = [
        {"step": "s", "reason": "upstream", "upstream": "r", "key": "r.txt"},
        {"step": "r", "reason": "upstream", "upstream": "q"},
        {"step": "q", "reason": "expired"},
    ]
    assert lines(explanation("complete", reason="upstream", chain=chain))[2:] == [
        "why: a Step before it runs again",
        "  s: reads r.txt of r",
        "    r: depends on q",
        "      q: expired",
    ]


def test_failures_are_told_with_their_last_words() -> None:
    """How an attempt failed stands in for the summary; an earlier attempt's failure stands beside it."""
    failed = explanation("failed", attempt=2, worker="w1", failure=FAILURE, reason="retried")
    retrying = {**failed, "state": "retrying", "retry-at": "2024-05-01T12:30:00.5Z"}
    running = {**failed, "state": "running", "attempt": 3}
    told = ["failed (COMMAND, attempt 2 on w1): exit code 2", "  | one", "  | two"]
    assert lines(failed) == ["s (failed)", *told, "why: the attempt before failed"]
    assert lines(retrying)[1:-1] == [*told, "tried again at 2024-05-01 12:30:00Z"]
    assert lines(running)[1:-1] == ["stands", "an earlier attempt failed (COMMAND): exit code 2", "  | one", "  | two"]


def test_several_explanations_stand_apart() -> None:
    """Between two explanations lies an empty line; where there are more, that is said."""
    one = ["s (ready)", "stands", "why: it is new"]
    assert lines(explanation("ready"), explanation("ready")) == [*one, "", *one]
    assert lines(*[explanation("ready")] * 100)[-1] == "why: it is new"
    more = blocks.lines(steps.explanations([explanation("ready")] * 2, truncated=True))
    assert more[-1] == "… and more than these 2; name single Steps"


def test_unknown_reasons_are_shown_as_they_are() -> None:
    """A newer server may give reasons that this client does not know."""
    assert lines(explanation("ready", reason="moonrise"))[-1] == "why: moonrise"


def test_long_chains_are_cut_in_the_middle() -> None:
    """Of a long chain a line keeps the first links and the cause."""
    links = [{"step": f"s{n}", "reason": "upstream", "upstream": f"s{n + 1}", "key": f"k{n}"} for n in range(9)]
    chain = [*links, {"step": "s9", "reason": "merged"}]
    assert reasons.chain_words(chain) == ("reads k0 of s1 ← reads k1 of s2 ← reads k2 of s3 ← … 6 more … ← merged")


def test_steps_without_reasons_are_counted() -> None:
    """A server gives reasons for the first Steps only; the others are listed and counted."""
    chains = {"a": [{"step": "a", "reason": "merged"}]}
    assert blocks.lines(reasons.reasons(["a", "b"], chains)) == [
        "STEP  WHY",
        "a     merged",
        "b",
        "… without reasons for 1 of them",
    ]
