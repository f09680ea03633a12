"""Which failures are tried again, how often, and after how long."""

from itertools import pairwise

import pytest

from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.model import Command, Failure, FailureClass, Options, StepSpec
from gaia_core.workflow.retry import (
    BACKOFF_FIRST_MS,
    BACKOFF_MAX_MS,
    DISTURBANCES_MAX,
    PASSING_IMAGE_MAX,
    retry_delay_ms,
)
from gaia_core.workflow.state import OWN_FAULTS, Step


def delay(
    kind: FailureClass,
    faults: int = 0,
    disturbances: int = 0,
    step: int | None = None,
    command: int | None = None,
    index: int = 0,
    *,
    is_passing: bool = False,
) -> int | None:
    spec = StepSpec("s", "c", options=Options(retries=step))
    failed = Step(index, FlatStep("s", spec, "s", (), ("c",), spec.options, {}, (), (), (), ()))
    failed.faults, failed.disturbances, failed.attempt = faults, disturbances, faults + disturbances + 1
    return retry_delay_ms(
        1, failed, Command("c", options=Options(retries=command)), Failure(kind, "it failed", is_passing=is_passing)
    )


@pytest.mark.parametrize("kind", list(FailureClass))
def test_without_retries_only_the_surroundings_are_tried_again(kind: FailureClass) -> None:
    """By default a Step's own failure is final, and so are a missing output, a missing input and an image."""
    assert (delay(kind) is not None) == (kind in DISTURBANCES_MAX)


@pytest.mark.parametrize("kind", sorted(OWN_FAULTS, key=lambda kind: kind.value))
def test_own_failures_use_the_steps_retries(kind: FailureClass) -> None:
    """COMMAND, TIMEOUT and OUT_OF_MEMORY use `retries`, the Step's before the Command's."""
    assert [delay(kind, faults, step=2) is not None for faults in range(4)] == [True, True, False, False]
    assert delay(kind, command=1) is not None
    assert delay(kind, step=0, command=1) is None


@pytest.mark.parametrize("kind", list(DISTURBANCES_MAX))
def test_disturbances_are_bounded(kind: FailureClass) -> None:
    """Gaia tries again after failures of the surroundings, so and so often, whatever the retries."""
    most = DISTURBANCES_MAX[kind]
    assert [delay(kind, 0, tried, step=99) is not None for tried in (0, most - 1, most)] == [True, True, False]


def test_an_image_is_tried_again_only_where_the_cause_may_pass() -> None:
    """A registry that does not answer is asked again, so and so often; one that refuses is not."""
    tries = [delay(FailureClass.IMAGE, 0, tried, is_passing=True) is not None for tried in (0, PASSING_IMAGE_MAX - 1)]
    assert tries == [True, True]
    assert delay(FailureClass.IMAGE, 0, PASSING_IMAGE_MAX, is_passing=True) is None
    assert delay(FailureClass.IMAGE) is None
    assert delay(FailureClass.OUTPUT_MISSING, is_passing=True) is None


def test_a_first_loss_is_made_good_at_once() -> None:
    """The Step did nothing wrong; the second time its worker is lost it waits."""
    assert delay(FailureClass.LOST) == 0
    assert delay(FailureClass.LOST, 0, 1) != 0


def test_the_pause_doubles_up_to_a_cap() -> None:
    """Exponential, between half and all of the full pause, never more than the cap."""
    for tried in range(40):
        full = min(BACKOFF_FIRST_MS * 2**tried, BACKOFF_MAX_MS)
        pause = delay(FailureClass.COMMAND, tried, step=99)
        assert pause is not None
        assert full / 2 <= pause <= full


def test_the_jitter_differs_between_steps_and_not_between_replays() -> None:
    """Steps that failed together do not come back together, and the pause is a function of the attempt."""
    pauses = [delay(FailureClass.STORE, 0, 1, index=index) for index in range(50)]
    assert len(set(pauses)) > 40
    assert pauses == [delay(FailureClass.STORE, 0, 1, index=index) for index in range(50)]
    assert any(one != other for one, other in pairwise(pauses))
