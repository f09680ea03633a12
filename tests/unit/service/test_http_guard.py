"""Who may call over HTTP: known hosts, pages of our own, bodies of JSON, and whoever has the token."""

import base64
from concurrent.futures import Future
from typing import Any

import pytest

from gaia_core.machine import requests as rq
from gaia_core.service.verb_calls import PATHS
from tests.unit.service.calls import HOSTS, Calls

TOKEN = "s:ecret"
JSON = {"Content-Type": "application/json"}


def no_workflows(_: rq.Request) -> "Future[Any]":
    """Answer every request with an empty list."""
    answer: Future[Any] = Future()
    answer.set_result(())
    return answer


def basic(text: str) -> str:
    """Return the header of a user and password."""
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Host": "evil.example"}, "this server is not known as 'evil.example'"),
        ({"Host": "[::1"}, "this server is not known as ''"),
        ({"Origin": "http://evil.example"}, "requests from pages of another site are refused"),
        ({"Origin": "null"}, "requests from pages of another site are refused"),
        ({"Content-Type": "text/plain"}, "the Content-Type must be application/json"),
        ({"Content-Type": ""}, "the Content-Type must be application/json"),
    ],
)
def test_what_a_browser_could_be_made_to_send_is_refused(headers: dict[str, str], words: str) -> None:
    """Unknown hosts, other origins and other bodies are refused, on the verbs with the one status they know."""
    reply = Calls(pytest.fail).http.post("/workflows", content=b"{}", headers={**JSON, **headers})
    assert (reply.status_code, reply.json()) == (400, {"error": words})


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken_however_its_type_is_written(content_type: str) -> None:
    """Parameters and capitals of the Content-Type do not matter."""
    reply = Calls(no_workflows).http.post("/workflows", content=b"{}", headers={"Content-Type": content_type})
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (basic(f"anybody:{TOKEN}"), 200),
        (basic(f":{TOKEN}"), 200),
        ("", 400),
        (TOKEN, 400),
        ("Bearer other", 400),
        ("Bearer \xff", 400),
        (basic("anybody:other"), 400),
        (basic(TOKEN), 400),
        ("Basic ?", 400),
        ("Basic /w==", 400),
    ],
)
def test_a_token_is_asked_for(given: str, status: int) -> None:
    """With a token every call needs it: as a bearer token, or as a password, which old clients can put into the URL."""
    calls = Calls(no_workflows, frozenset(), TOKEN)
    headers = {**JSON, "Host": "anywhere", "Authorization": given.encode("latin-1")}
    reply = calls.http.post("/workflows", content=b"{}", headers=headers)  # type: ignore[arg-type]
    assert reply.status_code == status
    assert reply.json() == ({"workflows": {}} if status == 200 else {"error": "the token is missing or wrong"})


def test_health_needs_no_token() -> None:
    """/healthz answers whoever asks."""
    assert Calls(pytest.fail, HOSTS, TOKEN).http.get("/healthz").json() == {
        "status": "ok",
        "role": "leader",
        "refused_reports": {},
        "workers_in_trouble": {},
    }


@pytest.mark.parametrize("path", sorted(PATHS))
def test_a_verb_takes_post_only(path: str) -> None:
    """A GET of a verb is refused in words, as all refusals of verbs are."""
    reply = Calls(pytest.fail).http.get(path)
    assert (reply.status_code, reply.json()) == (400, {"error": f"'{path}' does not take GET"})


def test_other_paths_have_the_usual_statuses() -> None:
    """Not there is 404, a wrong method 405, an unknown host 403, another type 415, no token 401; all of it in JSON."""
    calls, locked = Calls(pytest.fail), Calls(pytest.fail, HOSTS, TOKEN)
    replies = [
        calls.http.get("/nothing"),
        calls.http.post("/healthz", json={}),
        calls.http.get("/nothing", headers={"Host": "evil.example"}),
        calls.http.post("/nothing", content=b"a=b"),
        locked.http.get("/nothing"),
    ]
    assert [reply.status_code for reply in replies] == [404, 405, 403, 415, 401]
    assert all(list(reply.json()) == ["error"] for reply in replies)
    assert set(replies[1].headers["allow"].split(", ")) == {"GET", "HEAD"}
