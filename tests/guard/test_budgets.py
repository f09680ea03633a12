"""A Step takes no more than it did: counts and bytes against the table in README.md, on any machine, however busy."""

import pytest

from tests.guard import budgets
from tests.guard.budgets import PAGE, Budget, objection
from tests.guard.figures import PARTS, SHAPES, measured

TABLE = budgets.read(PAGE.read_text())
DEAREST_SHOWN = 8


@pytest.mark.parametrize(("what", "shape"), TABLE)
def test_a_step_takes_no_more_than_it_did(what: str, shape: str, request: pytest.FixtureRequest) -> None:
    """What a Step takes stays within its budget; `--bless` writes down what it takes now."""
    found = measured(shape)
    if request.config.getoption("--bless"):
        PAGE.write_text(budgets.bless(PAGE.read_text(), what, shape, found.figures[what]))
        return
    problem = objection(what, shape, TABLE[what, shape], found.figures[what])
    if problem:
        pytest.fail("\n".join([problem, *_advice(what, shape)]), pytrace=False)


def _advice(what: str, shape: str) -> list[str]:
    """Return how to look at a figure."""
    part = what.partition(":")[0]
    words = []
    if part in PARTS:
        dearest = measured(shape).dearest(part, DEAREST_SHOWN)
        words = ["Per Step, it has now most", *dearest, f"All of it: python -m tests.guard {shape} {part}"]
        words.append("Run that on the commit before, too, and compare.")
    return [*words, f"If it has to be so: pytest tests/guard -k '{shape}' --bless, and say why in the commit."]


def test_the_table_has_every_figure() -> None:
    """Nothing is measured that has no budget, and no budget is for nothing."""
    assert set(TABLE) == {(what, shape) for shape in SHAPES for what in measured(shape).figures}


@pytest.mark.parametrize(
    ("budget", "figure", "words"),
    [
        (Budget(100, 0.1), 110, ""),
        (
            Budget(100, 0.1),
            111,
            "x, of a wide workflow, went from 100.00 to 111.00 (+11%); at most 110.00 are ",
        ),
        (Budget(100, 0.1), 70, ""),
        (Budget(100, 0.1), 69, "x, of a wide workflow, went from 100.00 to 69.00 (-31%). Well done; "),
        (Budget(100, 0.1, bar=105), 106, "x, of a wide workflow, went from 100.00 to 106.00 (+6%); at most 105.00 "),
        (Budget(100, 0.1, bar=90), 109, ""),
        (Budget(0, 0.1), 1, "x, of a wide workflow, went from 0.00 to 1.00; at most 0.00 are allowed."),
    ],
)
def test_a_figure_may_grow_by_its_margin(budget: Budget, figure: float, words: str) -> None:
    """More is refused, and so is so much less that the budget no longer guards; a bar that was reached holds."""
    assert objection("x", "wide", budget, figure)[: len(words) or None] == words


def test_blessing_changes_one_figure() -> None:
    """All else on the page stays as it is."""
    page = "| what | wide | chain | margin | bar |\n| --- |\n| leader: x |  1,200.00 |   7.00 | 10 % | 1,536 |\nrest\n"
    assert budgets.read(page) == {
        ("leader: x", "wide"): Budget(1200, 0.1, 1536),
        ("leader: x", "chain"): Budget(7, 0.1, 1536),
    }
    assert budgets.bless(page, "leader: x", "chain", 1234.5) == page.replace("  7.00", "1,234.50")
    assert budgets.bless(page, "leader: y", "chain", 8) == page
