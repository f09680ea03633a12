"""How programs are run and what becomes of their files, stated once for every executor that runs programs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gaia_core.machine.reports import Completed, Report
from gaia_core.workflow.model import FailureClass
from tests.contract.executor_site import Site, failed, given, ok, output


@pytest.mark.parametrize("code", [1, 3, 255])
def test_exit_code_is_the_programs(site: Site, code: int) -> None:
    """A program that ends with a code other than 0 is a COMMAND failure with that code and the log's tail."""
    end = failed(site.shell(f"echo so long >&2; exit {code}"), FailureClass.COMMAND)
    assert end.failure.exit_code == code
    assert end.failure.log_tail == "so long\n"


def test_program_that_is_not_there_is_told(site: Site) -> None:
    """A missing program ends as a shell would say it, 127, with words that name it."""
    end = failed(site.run("no-such-program"), FailureClass.COMMAND)
    assert end.failure.exit_code == 127
    assert "no-such-program" in end.failure.log_tail


@pytest.mark.parametrize(("name", "code"), [("HUP", 129), ("ABRT", 134), ("KILL", 137), ("SEGV", 139), ("TERM", 143)])
def test_signal_is_told(site: Site, name: str, code: int) -> None:
    """A program that a signal ends has failed as a shell would say it, 128 and its number, and it is named."""
    end = failed(site.shell(f"kill -{name} $$"), FailureClass.COMMAND)
    assert end.failure.exit_code == code
    assert f"SIG{name}" in end.failure.message


@pytest.mark.parametrize("program", ["/etc/passwd", "/etc", "/data/program"])
def test_program_that_may_not_be_executed_is_told(site: Site, program: str) -> None:
    """A program that is there and cannot be executed ends as a shell would say it, 126."""
    script = "#!/data\n"  # its interpreter is a folder
    inputs = (given("program", "/data/program", site.put("program", script)),)
    end = failed(site.run(program, inputs=inputs), FailureClass.COMMAND)
    assert end.failure.exit_code == 126


def test_script_without_an_interpreter_is_the_shells(site: Site) -> None:
    """An input that is a script may be the program; without a first line that names another it is the shell's."""
    inputs = (given("program", "/data/program", site.put("program", "echo $0 $1")),)
    ok(site.run("/data/program", "x", inputs=inputs, outputs=(output("o", ">"),)))
    assert site.text("o") == "/data/program x\n"


def test_words_are_not_interpreted(site: Site) -> None:
    """Arguments reach the program as they are, without a shell."""
    ok(
        site.run(
            "printf", "%s|", "a b", "$HOME", "`id`", "*", "", stdout="/work/out", outputs=(output("o", "/work/out"),)
        )
    )
    assert site.text("o") == "a b|$HOME|`id`|*||"


def test_streams_go_where_they_were_asked_to(site: Site) -> None:
    """stdout alone to its path, stdout and stderr to ">", framed to ">>"."""
    outputs = (output("out", "/work/out.txt"), output("both", ">"), output("always", ">>"))
    ok(site.shell("echo one; echo two >&2; echo three", stdout="/work/out.txt", outputs=outputs))
    assert site.text("out") == "one\nthree\n"
    assert sorted(site.text("both").split()) == ["one", "three", "two"]
    framed = site.text("always").splitlines()
    assert [line for line in framed if line.startswith("# image")] == [f"# image {site.image}"]
    assert framed[-1].startswith("# exit code 0")
    assert site.executor.describe() in site.text("always")


def test_large_output_comes_whole(site: Site) -> None:
    """Megabytes on stdout arrive complete and in order."""
    ok(
        site.shell(
            "i=0; while [ $i -lt 20 ]; do head -c 1000000 /dev/zero | tr '\\0' $((i % 10)); i=$((i + 1)); done",
            stdout="/work/out",
            outputs=(output("o", "/work/out"),),
        )
    )
    expected = "".join(str(number % 10) * 1_000_000 for number in range(20))
    assert site.text("o") == expected


def test_files_and_trees_in_one_folder(site: Site) -> None:
    """Inputs and outputs, files and trees, may lie side by side; an output may be renamed into place."""
    ok(
        site.shell(
            "cd /work; cat in.csv tree/a tree/deep/b > out.tmp && mv out.tmp out.csv; cp -r tree/. copy/",
            inputs=(
                given("in", "/work/in.csv", site.put("in", "1")),
                given("t/", "/work/tree/", site.put("t/a", "2"), site.put("t/deep/b", "3")),
            ),
            outputs=(output("out", "/work/out.csv"), output("copy/", "/work/copy/")),
        )
    )
    assert (site.text("out"), site.text("copy/a"), site.text("copy/deep/b")) == ("123", "2", "3")


def test_paths_inside_each_other(site: Site) -> None:
    """A tree may hold another output, and an input tree the folder that an output goes to."""
    end = ok(
        site.shell(
            "cat /work/given; mkdir -p /work/all/sub; echo x > /work/all/sub/one; echo y > /work/all/two",
            inputs=(given("t/", "/work/", site.put("t/given", "g"), site.put("t/all/old", "old")),),
            outputs=(output("all/", "/work/all/"), output("one", "/work/all/sub/one"), output("log", ">")),
        )
    )
    assert [file.key for file in end.outputs[0].files] == ["all/sub/one", "all/two"]
    assert (site.text("one"), site.text("log")) == ("x\n", "g")


@pytest.mark.parametrize(
    "path", ["/in.txt", "/etc/gaia-in.txt", "/new/deep/in.txt", "/usr/share/gaia/in.txt", "/tmp/in.txt"]
)
def test_input_is_seen_wherever_it_is_asked_for(site: Site, path: str) -> None:
    """Any absolute path will do, in folders of the system and in new ones; what lies there stays."""
    end = site.run(
        "sh",
        "-c",
        f"cat {path} && ls /etc/passwd",
        inputs=(given("in", path, site.put("in", "here")),),
        outputs=(output("o", ">"),),
    )
    ok(end)
    assert site.text("o").startswith("here")


def test_output_in_a_system_folder(site: Site) -> None:
    """An output in a folder of the system is written in place; the folder stays what it is."""
    ok(site.shell("test -e /etc/passwd && echo x > /etc/gaia-out.txt", outputs=(output("o", "/etc/gaia-out.txt"),)))
    assert site.text("o") == "x\n"
    assert not Path("/etc/gaia-out.txt").exists()


def test_missing_output_is_told(site: Site) -> None:
    """A program that ends well without its output has failed all the same."""
    end = failed(site.run("true", outputs=(output("o", "/work/o"),)), FailureClass.OUTPUT_MISSING)
    assert "/work/o" in end.failure.message


def test_program_may_close_its_streams_and_go_on(site: Site) -> None:
    """The end of the streams is not the end of the program."""
    ok(site.shell("exec >&- 2>&-; sleep 0.3; : > /work/o", outputs=(output("o", "/work/o"),)))


def test_environment_workdir_and_entrypoint(site: Site) -> None:
    """The Command's variables, folder and entrypoint are used."""
    ok(
        site.run(
            'echo "$A"; pwd',
            entrypoint=("sh", "-c"),
            env={"A": "b c"},
            workdir="/some/where",
            outputs=(output("o", ">"),),
        )
    )
    assert site.text("o") == "b c\n/some/where\n"


def test_environment_is_what_was_asked_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program gets its Command's variables and the few that programs need, and none of the worker's."""
    for name in ("GAIA_TOKEN", "AWS_SECRET_ACCESS_KEY", "OTHER"):
        monkeypatch.setenv(name, "the worker's")
    lines = site.said("env", env={"A": "b=c d", "EMPTY": "", "PATH": "/bin:/usr/bin"}).splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert found.pop("GAIA_PROGRESS") == "/run/gaia/progress", "where it may say how far it is"
    assert (found["A"], found["EMPTY"], found["PATH"]) == ("b=c d", "", "/bin:/usr/bin")
    assert set(found) <= {"A", "EMPTY", "PATH", "SITE", "HOME", "HOSTNAME", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


def test_input_is_empty_and_there_is_no_terminal(site: Site) -> None:
    """A program that reads its standard input finds the end of it, and one that asks for a terminal gets none."""
    assert site.said("cat; (: </dev/tty) 2>/dev/null || echo none") == "none\n"


def test_folder_to_start_in_is_made(site: Site) -> None:
    """A folder to start in that nobody has is made, and one in which inputs lie is that one."""
    assert site.said("pwd; ls", workdir="/not/there") == "/not/there\n"
    inputs = (given("t/", "/data/", site.put("t/a", "1")),)
    assert site.said("pwd; ls", workdir="/data", inputs=inputs) == "/data\na\n"


def test_temporary_files_have_room(site: Site) -> None:
    """A program may write to /tmp and /dev/shm without having asked for it."""
    script = "for f in /tmp /dev/shm; do head -c 1000000 /dev/zero > $f/x && wc -c < $f/x; done"
    assert site.said(script).split() == ["1000000", "1000000"]


def test_attempts_run_side_by_side(site: Site) -> None:
    """Several attempts at a time do not get in each other's way."""
    ends: list[Report] = []

    def work(step: int) -> None:
        ends.append(site.shell(f"echo {step} > /work/o", step=step, outputs=(output(f"o{step}", "/work/o"),)))

    threads = [threading.Thread(target=work, args=(step,)) for step in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(end) for end in ends] == [Completed] * 6
    assert [site.text(f"o{step}") for step in range(6)] == [f"{step}\n" for step in range(6)]


def test_scratch_is_left_empty(site: Site) -> None:
    """Nothing of an attempt stays on the disk, also what its program forbade to be removed."""
    ok(site.shell("mkdir /work/t/a; echo x > /work/t/a/b; chmod 500 /work/t/a", outputs=(output("t/", "/work/t/"),)))
    assert list(site.attempts.scratch.iterdir()) == []
