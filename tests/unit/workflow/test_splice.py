"""What `{{name}}` becomes, and which texts are refused."""

import pytest

from gaia_core.workflow.splice import Unspliceable, names_in, scalar_text, splice


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{a}}", "1"),
        ("x{{a}}y{{b-2.c_d}}z", "x1y2z"),
        ("{{{{a}}", "{{a}}"),
        ("{{{{{{a}}", "{{1"),
        ("{{{{{{{{", "{{{{"),
        ('{"json": {"deep": 1}}', '{"json": {"deep": 1}}'),
        ("}}", "}}"),
        ("", ""),
    ],
)
def test_names_are_replaced_and_doubled_braces_write_braces(text: str, expected: str) -> None:
    """`{{name}}` is replaced, `{{{{` writes `{{`, and everything else stays."""
    assert splice(text, {"a": "1", "b-2.c_d": "2"}) == expected


def test_a_value_is_not_spliced_again() -> None:
    """One pass: braces that a value brings in are text."""
    assert splice("{{a}}", {"a": "{{b}}", "b": "no"}) == "{{b}}"


@pytest.mark.parametrize("text", ["{{", "{{}}", "{{ a }}", "{{a}", "{{{a}}}", "{{a b}}", "x{{é}}"])
def test_braces_that_begin_nothing_are_refused(text: str) -> None:
    """A `{{` that begins neither a name nor `{{{{` is refused with the way to write it."""
    with pytest.raises(Unspliceable, match=r"write '\{\{\{\{'"):
        splice(text, {"a": "1"})
    with pytest.raises(Unspliceable, match="begins no"):
        list(names_in(text))


def test_a_name_without_a_value_is_refused() -> None:
    """A `{{x}}` that nothing defines is refused, naming x."""
    with pytest.raises(Unspliceable, match=r"nothing defines \{\{x\}\}"):
        splice("{{x}}", {})


def test_the_names_of_a_text_are_told_in_order() -> None:
    """Every spliced name is told, escaped ones are not."""
    assert list(names_in("{{b}}/{{{{x}}/{{a}}{{b}}")) == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [("s", "s"), ("", ""), (1, "1"), (-3, "-3"), (1.5, "1.5"), (True, "true"), (False, "false"), (1e300, "1e+300")],
)
def test_numbers_and_booleans_are_spliced_as_json(value: object, text: str) -> None:
    """Numbers and booleans are written as JSON does."""
    assert scalar_text(value) == text
