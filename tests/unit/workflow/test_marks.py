"""Marks tell which attempt of which deployment stored a version."""

from gaia_core.workflow.marks import Author, attempt_mark, author_of
from gaia_core.workflow.model import Fence


def test_a_mark_names_its_attempt() -> None:
    """The mark of an attempt is read back, whatever the term."""
    assert author_of("gaia", attempt_mark("gaia", Fence(7, 12, 3, 99))) == Author(7, 12, 3)


def test_marks_of_others_are_none_of_ours() -> None:
    """What another deployment's attempt stored, or a person, is no work of an attempt of this one."""
    assert author_of("gaia", attempt_mark("other", Fence(7, 12, 3))) is None
    assert author_of("gaia", "") is None
    assert author_of("gaia", "attempt-x") is None
