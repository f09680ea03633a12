"""snakemake on this machine: jobs whose output is only touched, so that no process is started for them."""

from harness import FOLDER, arguments, expect, tell, timed
from snakemake.cli import main as snakemake

WIDE = """
rule all:
    input: expand("wide/{n}", n=range(%d))
rule noop:
    output: touch("wide/{n}")
"""
CHAIN = """
rule all:
    input: "chain/%d"
rule first:
    output: touch("chain/0")
rule noop:
    input: lambda wildcards: f"chain/{int(wildcards.n) - 1}"
    output: touch("chain/{n,[1-9][0-9]*}")
"""
QUICK = ["--cores", "2", "--quiet", "all", "--nolock", "--scheduler", "greedy", "--latency-wait", "0"]
QUICK += ["--drop-metadata", "--max-jobs-per-timespan", "100000/1s", "--rerun-triggers", "mtime"]


def main() -> None:
    """Measure."""
    given = arguments()
    seconds = timed(lambda: _run("wide", WIDE % given.wide))
    expect("files of the wide run", len(list((FOLDER / "wide").iterdir())), given.wide)
    chain_s = timed(lambda: _run("chain", CHAIN % (given.chain - 1)))
    expect("files of the chain", len(list((FOLDER / "chain").iterdir())), given.chain)
    tell("snakemake", {"tasks": given.wide, "seconds": seconds}, {"tasks": given.chain, "seconds": chain_s})


def _run(name: str, rules: str) -> None:
    file = FOLDER / f"{name}.smk"
    file.write_text(rules)
    try:
        snakemake(["--snakefile", str(file), "--directory", str(FOLDER), *QUICK])
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"snakemake ended with {end.code}") from end


if __name__ == "__main__":
    main()
