"""One Docker engine: how it is found, what it can do, and whether it is well.

A thread asks it every few seconds, so that a worker knows of an engine that is gone or hangs before it gives it an
attempt. Used by `docker`, which is its only owner.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import docker  # type: ignore[import-untyped,unused-ignore]
import urllib3
from docker.errors import DockerException  # type: ignore[import-untyped,unused-ignore]

log = logging.getLogger(__name__)

ENGINE_ERRORS: Final = (DockerException, OSError, urllib3.exceptions.HTTPError)
"""What a call of the engine raises: its refusals, and all that can happen on the way to it."""

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
PROBE_S: Final = 3
CALL_S: Final = 60
"""A call of the engine that takes longer has failed: a hung engine must not hold a slot for ever."""

LOOK_S: Final = 5.0
"""Pause between two looks at the engine: what a worker says of its health is as old as a heartbeat."""

CONNECTIONS: Final = 64


class Offers(NamedTuple):
    """What not every engine can give a container; each is taken to be there until it turns out otherwise.

    Attributes:
        init: a process that passes signals on and waits for orphans; needs the program docker-init.
        file_limit: another limit of open files than the engine has itself.
    """

    init: bool = True
    file_limit: bool = True


class Engine:
    """One engine and what is known of it; to be closed."""

    def __init__(self, api: Any, probe: Any, host: str, facts: Mapping[str, Any]) -> None:
        """Know an engine.

        Args:
            api: client of its API.
            probe: another one, whose calls fail after PROBE_S.
            host: its address.
            facts: what it says of itself.
        """
        self.api = api
        self.host = host
        self.version: str = facts["ServerVersion"]
        self.offers = Offers()
        self.is_rootless = any("rootless" in option for option in facts.get("SecurityOptions") or [])
        # Root inside a rootless engine is the user who runs it; anyone else there could not write for us.
        self.user = "0:0" if self.is_rootless else f"{os.getuid()}:{os.getgid()}"
        self._probe = probe
        self._trouble = ""
        self._closed = threading.Event()
        self._watch: threading.Thread | None = None

    def describe(self) -> str:
        """Return its version and address, and what it lacks, for people."""
        lacks = "" if self.offers.init else "; without docker-init: programs that do not handle SIGTERM ignore it"
        lacks += "" if self.offers.file_limit else "; open files limited as the engine's own are"
        return f"engine {self.version} at {self.host}{lacks}"

    def trouble(self) -> str:
        """Say why it cannot be used, as first seen; "" when it can, as of the last look."""
        return self._trouble

    def learn(self, words: str, asked: Offers) -> bool:
        """Learn from its refusal to start a container what it lacks; tell whether it is worth to try without that.

        Args:
            words: what it said.
            asked: what the container was created with.
        """
        if "docker-init" in words and asked.init:
            offers, lacking = self.offers._replace(init=False), "an init process"
        elif "setting rlimit" in words and asked.file_limit:
            offers, lacking = self.offers._replace(file_limit=False), "a limit of open files"
        else:
            return False
        if offers != self.offers:  # several may find out at once
            self.offers = offers
            log.warning("containers go without what the engine refuses", extra={"engine": self.host, "what": lacking})
        return True

    def watch(self, each_look: Callable[[], None]) -> None:
        """Begin to look after it; `each_look` is called every time that it is well."""

        def look_on() -> None:
            while not self._closed.wait(LOOK_S):
                if self.look():
                    each_look()

        self._watch = threading.Thread(target=look_on, name="docker-health", daemon=True)
        self._watch.start()

    def look(self) -> bool:
        """Ask it whether it is there; remember what came of that, and tell whether it is."""
        try:
            self.knock()
            self._probe.ping()
        except ENGINE_ERRORS as problem:
            self._know(f"the Docker engine at {self.host} does not answer: {words_of(problem)}")
        else:
            self._know("")
        return not self._trouble

    def knock(self) -> None:
        """Raise OSError if it takes no new connections; the library would leave a socket behind for each refusal."""
        with _connected(self.host):
            pass

    def lets_in(self) -> bool:
        """Tell whether it takes new connections: one that is being stopped still answers on those it has."""
        try:
            self.knock()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Stop looking and close the connections; safe to call twice."""
        self._closed.set()
        if self._watch is not None:
            self._watch.join(2 * PROBE_S)
        self.api.close()
        self._probe.close()

    def _know(self, trouble: str) -> None:
        if bool(trouble) == bool(self._trouble):
            return  # in the words of the beginning, however it fails now: a change of them would be told as news
        if trouble:
            log.error("the engine does not answer", extra={"engine": self.host, "cause": trouble})
        else:
            log.info("the engine answers again", extra={"engine": self.host})
        self._trouble = trouble


def find_hosts() -> list[str]:
    """Return where an engine may answer: DOCKER_HOST or, without it, the usual sockets."""
    if host := os.environ.get("DOCKER_HOST"):
        return [host]
    home = Path.home()
    others = [home / ".docker/run/docker.sock", home / ".colima/default/docker.sock"]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        others.append(Path(runtime) / "docker.sock")
    return [f"unix://{DEFAULT_SOCKET}", *(f"unix://{path}" for path in others if path.exists())]


def open_engine(host: str) -> Engine:
    """Return the engine that answers at an address; raises one of ENGINE_ERRORS where none does."""
    with _connected(host):  # see Engine.knock
        pass
    api = docker.APIClient(base_url=host, version="auto", timeout=PROBE_S, max_pool_size=CONNECTIONS)
    try:
        facts = api.info()
        probe = docker.APIClient(base_url=host, version=api.api_version, timeout=PROBE_S)
    except BaseException:
        api.close()
        raise
    api.timeout = CALL_S
    return Engine(api, probe, host, facts)


def words_of(problem: BaseException) -> str:
    """Return what the engine itself said, without the HTTP around it."""
    return str(getattr(problem, "explanation", None) or problem).strip()


@contextmanager
def _connected(host: str) -> Iterator[None]:
    """Hold a connection to an address, if that is of a kind that we can open; raises OSError where nobody listens."""
    address = urlsplit(host)
    if address.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as made:
            made.settimeout(PROBE_S)
            made.connect(host.removeprefix("unix://"))
            yield
    elif address.scheme in ("tcp", "http", "https") and address.hostname:
        with suppress(ValueError), socket.create_connection((address.hostname, address.port or 2375), PROBE_S):
            yield
    else:
        yield
