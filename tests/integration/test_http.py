"""HTTP over real sockets: the page about it, bodies that are too much, and senders that fall silent."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaia_core.config import split_address
from tests.integration.gaia_processes import Up
from tests.integration.tour import ROOT, blocks, open_tour

PAGE = ROOT / "docs" / "http.md"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `gaia up` for this module's tests."""
    with Up(tmp_path_factory.mktemp("up"), "--executor", "noop") as started:
        yield started


def test_the_page_about_http_is_true(tmp_path: Path, curl: str) -> None:
    """Every curl line of docs/http.md gets the reply that stands below it, and every verb has one."""
    code = "".join(block.code for block in blocks(PAGE.read_text(encoding="utf-8")))
    verbs = ("command", "merge", "upload", "run", "halt", "status", "expire", "workflows")
    assert [verb for verb in verbs if f"{curl} -s localhost:24480/{verb} --json" not in code] == []
    with open_tour(tmp_path) as tour:
        tour.follow(PAGE, {"localhost:24480": tour.environ["GAIA_HTTP_LISTEN"]})


@pytest.mark.parametrize(
    ("path", "content_type", "size_bytes", "code", "words"),
    [
        ("upload", "application/json", 65 * 2**20, 400, "more than 67108864 bytes"),
        ("upload", "text/plain", 8 * 2**20, 400, "the Content-Type must be application/json"),
        ("nothing", "application/json", 8 * 2**20, 404, "there is nothing at '/nothing'"),
    ],
)
def test_a_body_in_vain_gets_its_answer(
    up: Up, path: str, content_type: str, size_bytes: int, code: int, words: str
) -> None:
    """A client that can only read once it has sent everything is told why it was in vain."""
    headers = {"Content-Type": content_type}
    request = urllib.request.Request(f"http://{up.http}/{path}", b" " * size_bytes, headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=30)
    assert refusal.value.code == code
    assert words in json.load(refusal.value)["error"]
    refusal.value.close()


def test_a_sender_that_falls_silent_gets_an_answer(up: Up) -> None:
    """Nobody waits for ever for the rest of a body."""
    head = (
        f"POST /run HTTP/1.1\r\nHost: {up.http}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(split_address(up.http), timeout=30) as connection:
        connection.sendall(f"{head}{{".encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert "The body broke off" in answer
