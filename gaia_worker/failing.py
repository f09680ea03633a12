"""How a step of an attempt's pipeline says that the attempt has failed; it never leaves `gaia_worker.attempt`."""

from gaia_core.workflow.model import Failure, FailureClass


class AttemptFailed(Exception):
    """The attempt ends here, for the reason that `failure` tells."""

    def __init__(
        self, kind: FailureClass, message: str, *, exit_code: int | None = None, is_passing: bool = False
    ) -> None:
        """Keep what the report will tell."""
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.exit_code = exit_code
        self.is_passing = is_passing

    def failure(self, log_tail: str) -> Failure:
        """Return the failure as it is reported."""
        return Failure(self.kind, self.message, self.exit_code, log_tail, self.is_passing)
