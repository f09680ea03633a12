"""The tour of the README, run as it stands."""

from pathlib import Path

from tests.integration.tour import ROOT, blocks, open_tour


def test_the_tour_of_the_readme_is_true(tmp_path: Path) -> None:
    """Every marked block runs, in order, and prints what the README shows below it."""
    page = ROOT / "README.md"
    found = blocks(page.read_text(encoding="utf-8"))
    assert {block.language for block in found if not block.is_server} == {"sh", "python"}
    assert [block.is_server for block in found].count(True) == 2
    with open_tour(tmp_path) as tour:
        tour.follow(page, {})
