"""Show what the figures of the guard are made of: every function that a Step's lines are run in, the dearest first.

    python -m tests.guard wide leader

Run it on two commits and compare.
"""

import argparse

from tests.guard.figures import PARTS, SHAPES, measured


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="tests.guard", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("part", choices=PARTS)
    given = parser.parse_args()
    found = measured(given.shape)
    for what, figure in found.figures.items():
        if what.startswith(given.part):
            print(f"{what}: {figure:,.2f}")
    print(*found.dearest(given.part), sep="\n")


if __name__ == "__main__":
    main()
