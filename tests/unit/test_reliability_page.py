"""docs/reliability.md: every test that it names is there, and it has all cases."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    """A promise is as good as its test."""
    named = re.findall(r"`((?:unit|contract|property|integration)/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 60
    missing = []
    for path, name in named:
        text = (ROOT / "tests" / path).read_text(encoding="utf-8") if (ROOT / "tests" / path).exists() else ""
        if not re.search(rf"^(?:async )?(?:def|class) {name}\b|^{name} = ", text, flags=re.MULTILINE):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_all_cases_are_told() -> None:
    """One row for each case, in order."""
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", PAGE, flags=re.MULTILINE)] == list(range(1, 43))
