"""One way to ask, over two interfaces: gRPC by the Python client, and the original's verbs over HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gaia_client.client import Gaia
from gaia_core.errors import GaiaError

Plain = Mapping[str, Any]


class Refused(Exception):
    """The request was refused; the message is what was said."""


class Api(Protocol):
    """What both interfaces can do; answers are reduced to what both tell."""

    def upload(self, workflow: str, properties: Plain, commands: Sequence[Plain], steps: Sequence[Plain]) -> set[str]:
        """Return the names of the Steps made."""

    def merge(self, workflow: str, steps: Sequence[Plain]) -> set[str]:
        """Return the names of the Steps given, expanded."""

    def command(self, workflow: str, commands: Sequence[Plain]) -> set[str]:
        """Return the names of all Commands."""

    def expire(self, workflow: str, names: Sequence[str]) -> None:
        """Make Steps run again."""

    def run(self, workflow: str) -> None:
        """Resume."""

    def halt(self, workflow: str) -> None:
        """Stop."""

    def status(self, workflow: str) -> Plain:
        """Return the status, with debug."""

    def workflows(self) -> dict[str, str]:
        """Return the state of every workflow."""


class GrpcApi:
    """Asks through the Python client."""

    def __init__(self, flow: Gaia) -> None:
        self._flow = flow

    def upload(self, workflow: str, properties: Plain, commands: Sequence[Plain], steps: Sequence[Plain]) -> set[str]:
        return set(self._ask(lambda: self._flow.upload(workflow, properties, commands, steps))["added"])

    def merge(self, workflow: str, steps: Sequence[Plain]) -> set[str]:
        diff = self._ask(lambda: self._flow.merge(workflow, steps))
        return {*diff["added"], *diff["updated"], *diff["unchanged"]}

    def command(self, workflow: str, commands: Sequence[Plain]) -> set[str]:
        return {each["name"] for each in self._ask(lambda: self._flow.command(workflow, commands))}

    def expire(self, workflow: str, names: Sequence[str]) -> None:
        self._ask(lambda: self._flow.expire(workflow, names))

    def run(self, workflow: str) -> None:
        self._ask(lambda: self._flow.run(workflow))

    def halt(self, workflow: str) -> None:
        self._ask(lambda: self._flow.halt(workflow))

    def status(self, workflow: str) -> Plain:
        return self._ask(lambda: self._flow.status(workflow, debug=True))  # type: ignore[no-any-return]

    def workflows(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self._ask(self._flow.workflows)}

    def _ask(self, call: Any) -> Any:
        try:
            return call()
        except GaiaError as refusal:
            raise Refused(str(refusal)) from refusal


class HttpApi:
    """Asks by the original's verbs."""

    def __init__(self, address: str) -> None:
        self._url = f"http://{address}"

    def upload(self, workflow: str, properties: Plain, commands: Sequence[Plain], steps: Sequence[Plain]) -> set[str]:
        body = {"workflow": workflow, "properties": properties, "commands": commands, "steps": steps}
        return set(self._post("upload", body)["workflow"][workflow])

    def merge(self, workflow: str, steps: Sequence[Plain]) -> set[str]:
        return set(self._post("merge", {"workflow": workflow, "steps": steps})["steps"])

    def command(self, workflow: str, commands: Sequence[Plain]) -> set[str]:
        return set(self._post("command", {"workflow": workflow, "commands": commands})["commands"])

    def expire(self, workflow: str, names: Sequence[str]) -> None:
        self._post("expire", {"workflow": workflow, "expire": names})

    def run(self, workflow: str) -> None:
        self._post("run", {"workflow": workflow})

    def halt(self, workflow: str) -> None:
        self._post("halt", {"workflow": workflow})

    def status(self, workflow: str) -> Plain:
        return self._post("status", {"workflow": workflow, "debug": True})["status"]  # type: ignore[no-any-return]

    def workflows(self) -> dict[str, str]:
        return {name: each["state"] for name, each in self._post("workflows", {})["workflows"].items()}

    def _post(self, verb: str, body: Plain) -> Any:
        request = urllib.request.Request(
            f"{self._url}/{verb}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise Refused(json.load(refusal)["error"]) from refusal
