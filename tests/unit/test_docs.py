"""What the documentation says that the code knows better: it must be the same.

`python -m tests.unit.test_docs` prints the table of settings for docs/configuration.md.
"""

import re
from pathlib import Path

import pytest

from gaia_core.config import describe

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT / "docs", ROOT / "examples", ROOT / "tests"]
PAGES = [
    page
    for page in (*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md")))
    if "node_modules" not in page.parts  # of a client that somebody built in place
]

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def settings_table() -> str:
    """Return the table of all settings as the page has it."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for variable, default, help_text in describe():
        shown = "" if default in ("", "None", "()") else f"`{default}`"
        rows.append(f"| `{variable}` | {shown} | {help_text} |")
    return "\n".join(rows)


def test_the_table_of_settings_is_the_code_s() -> None:
    """docs/configuration.md lists every setting with its default and meaning, and no other."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `GAIA_")]
    assert "\n".join(rows) == "\n".join(settings_table().splitlines()[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or folder that is there."""
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


if __name__ == "__main__":
    print(settings_table())
