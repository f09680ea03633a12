"""luigi with its local scheduler and one worker, which runs tasks in its own process: the fastest it has."""

import logging
from pathlib import Path

import luigi
from harness import FOLDER, WARM_TASKS, arguments, expect, tell, timed


class Noop(luigi.Task):
    """Write an empty file, which is how luigi knows that a task is complete."""

    folder = luigi.Parameter()
    number = luigi.IntParameter()
    chained = luigi.BoolParameter(default=False)

    def requires(self):
        """Require the task before, in a chain."""
        if self.chained and self.number:
            return Noop(self.folder, self.number - 1, chained=True)
        return []

    def output(self):
        """Return the file."""
        return luigi.LocalTarget(str(Path(self.folder, str(self.number))))

    def run(self):
        """Write it."""
        Path(self.folder, str(self.number)).touch()


def main() -> None:
    """Measure."""
    given = arguments()
    logging.disable(logging.CRITICAL)
    places = {name: FOLDER / name for name in ("warm", "wide", "chain")}
    for place in places.values():
        place.mkdir()
    _build([Noop(str(places["warm"]), number) for number in range(WARM_TASKS)])
    seconds = timed(lambda: _build([Noop(str(places["wide"]), number) for number in range(given.wide)]))
    expect("files of the wide run", len(list(places["wide"].iterdir())), given.wide)
    chain_s = timed(lambda: _build([Noop(str(places["chain"]), given.chain - 1, chained=True)]))
    expect("files of the chain", len(list(places["chain"].iterdir())), given.chain)
    tell("luigi", {"tasks": given.wide, "seconds": seconds}, {"tasks": given.chain, "seconds": chain_s})


def _build(tasks: list[Noop]) -> None:
    if not luigi.build(tasks, workers=1, local_scheduler=True, no_lock=True):
        raise RuntimeError("luigi did not run everything")


if __name__ == "__main__":
    main()
