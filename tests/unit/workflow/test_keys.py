"""What is a Key, where its bucket ends, and where its bytes lie."""

import posixpath
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.workflow.keys import (
    archive_folder,
    folder_of,
    is_tree,
    key_problem,
    location,
    log_location,
    log_step,
    manifest_location,
    manifest_step,
    split_bucket,
)


@pytest.mark.parametrize(
    "key", ["a", "a/b.txt", "a/", "a/b/", "..a/b..", "a b/ü", "bucket:a", "my.bucket:a/b/", "composite", "x:y", "a:b/c"]
)
def test_keys_are_relative_paths_perhaps_in_a_bucket(key: str) -> None:
    """A path, a tree, and either with a bucket before it are Keys."""
    assert key_problem(key) is None


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ("", "needs a path"),
        ("/", "needs a path"),
        ("bucket:", "needs a path"),
        ("bucket:/", "needs a path"),
        ("/a", "absolute"),
        ("bucket:/a", "absolute"),
        ("../a", "segment"),
        ("a/..", "segment"),
        ("a/../b", "segment"),
        ("a/./b", "segment"),
        ("a//b", "segment"),
        ("a//", "segment"),
        ("..", "segment"),
        ("./", "segment"),
        ("bucket:..", "segment"),
        ("a\n", "control"),
        ("a\x00b", "control"),
        ("a\x7f", "control"),
        ("a\u2028", "control"),
        ("a\ud800", "control"),
        ("a/\u202egpj.exe", "cannot be seen"),
        ("a\u200b/b", "cannot be seen"),
        ("\ufeffa", "cannot be seen"),
        ("\uff0e\uff0e/a", "looks like '.' or '..'"),
        ("bucket:a/\u2025", "looks like '.' or '..'"),
        ("a\uff0f..\uff0fb", "looks like '.' or '..'"),
        ("\u2024/a", "looks like '.' or '..'"),
        ("a\x00/etc/passwd", "control"),
        ("../../etc/passwd", "segment"),
        ("composite/s/i/o", "reserved"),
        ("composite/", "reserved"),
        ("k" * 901, "longer than 900 bytes"),
        ("ü" * 451, "longer than 900 bytes"),
    ],
)
def test_what_is_no_key_is_refused_with_its_cause(key: str, cause: str) -> None:
    """`..`, absolute paths, control characters, empty segments, reserved prefixes and long Keys are refused."""
    assert cause in (key_problem(key) or "")


@pytest.mark.parametrize(
    ("key", "bucket", "path"),
    [
        ("bucket:a/b", "bucket", "a/b"),
        ("b-1.x:a", "b-1.x", "a"),
        ("ab:a", None, "ab:a"),
        ("Bucket:a", None, "Bucket:a"),
        ("under_score:a", None, "under_score:a"),
        ("-ab:a", None, "-ab:a"),
        ("a..b:c", None, "a..b:c"),
        ("x" * 64 + ":a", None, "x" * 64 + ":a"),
        ("x" * 63 + ":a", "x" * 63, "a"),
        ("dir/abc:x", None, "dir/abc:x"),
        ("abc:d:e", "abc", "d:e"),
        ("10.0.0.1:a", None, "10.0.0.1:a"),
        ("plain", None, "plain"),
    ],
)
def test_a_bucket_is_meant_only_by_a_valid_bucket_name(key: str, bucket: str | None, path: str) -> None:
    """The text before the first `:` is a bucket only where S3 would take it as a bucket's name."""
    assert split_bucket(key) == (bucket, path)


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        ("a", ""),
        ("a/", ""),
        ("a/b", "a/"),
        ("a/b/", "a/"),
        ("a/b/c", "a/b/"),
        ("bucket:a", "bucket:"),
        ("bucket:a/b", "bucket:a/"),
        ("x:y/z", "x:y/"),
        ("bucket:", "bucket:"),
        ("", ""),
    ],
)
def test_the_folder_of_a_key_is_the_tree_right_above_it(key: str, folder: str) -> None:
    """Folders end at the root of the data space or of the bucket."""
    assert folder_of(key) == folder


def test_a_key_lies_in_its_workflows_space_or_in_its_bucket() -> None:
    """Without a bucket a Key lies under the workflow's name; manifests lie where no workflow can."""
    assert location("flow", "a/b") == (None, "flow/a/b")
    assert location("flow", "bucket:a/b") == ("bucket", "a/b")
    assert manifest_location("flow", 3, 1, 2, 0).path.startswith(".gaia/")
    assert archive_folder("gaia").startswith(".gaia/")


@pytest.mark.parametrize(
    ("path", "step"),
    [
        (manifest_location("a.flow", 3, 1, 2, 0).path, (3, 1, 2)),
        (".gaia/manifests/flow/3/1-2", None),
        (".gaia/manifests/flow/3/1-2-0/x", None),
        ("flow/.gaia/manifests/flow/3/1-2-0", None),
    ],
)
def test_the_path_of_a_manifest_tells_whose_it_is(path: str, step: tuple[int, int, int] | None) -> None:
    """Workflow, Step and attempt are read back from where a manifest lies; nothing else looks like one."""
    assert manifest_step(path) == step


@pytest.mark.parametrize(
    ("path", "step"),
    [
        (log_location("w", 7, 3, 2).path, (7, 3, 2)),
        (".gaia/logs/w/7/3-2.txt", None),
        (".gaia/manifests/w/7/3-2", None),
        ("logs/w/7/3-2", None),
    ],
)
def test_the_path_of_a_log_tells_whose_it_is(path: str, step: tuple[int, int, int] | None) -> None:
    """Workflow, Step and attempt are read back from where a log lies; nothing else looks like one."""
    assert log_step(path) == step


def test_a_trailing_slash_makes_a_tree() -> None:
    """A Key that ends in a slash stands for a directory."""
    assert [is_tree(key) for key in ("a/", "a", "bucket:a/")] == [True, False, True]


@pytest.mark.parametrize(
    "key", ["données/été", "データ\uff0f1", "ספר.txt", "a…b", "👩\u200d🔬.png", "$(touch x); `id` | * ?"]
)
def test_names_of_every_script_are_keys(key: str) -> None:
    """People call files as they like; nothing but what may mislead about a place is refused."""
    assert key_problem(key) is None


@given(st.text(max_size=30) | st.text("./:a\uff0e\uff0f\u2024\u2025", max_size=12))
def test_no_key_leads_out_of_its_data_space(key: str) -> None:
    """Whatever is taken for a Key stays below the workflow, also for who reads look-alikes as what they look like."""
    if key_problem(key) is None:
        for text in (key, normalize("NFKC", key)):
            _, path = split_bucket(text)
            assert f"{posixpath.normpath(f'/flow/{path}')}/".startswith("/flow/")
