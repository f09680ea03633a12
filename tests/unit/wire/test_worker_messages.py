"""Inbox and report records survive their way over the wire, and garbage is refused as such."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.errors import RequestError
from gaia_core.machine.orders import Cancel, Dispatch, Drain, Inbox
from gaia_core.machine.reports import (
    CacheFigures,
    Cancelled,
    Completed,
    Failed,
    Goodbye,
    Heartbeat,
    Hello,
    Started,
    WorkerReports,
)
from gaia_core.wire.files import fence_to_proto
from gaia_core.wire.inbox import decode_inbox, encode_inbox
from gaia_core.wire.manifests import decode_manifest, encode_manifest
from gaia_core.wire.reports import RECORD_BYTES_FULL, ReportPacker, decode_reports, encode_reports
from gaia_core.workflow.model import (
    Execution,
    Failure,
    FailureClass,
    Fence,
    FileVersion,
    Input,
    Output,
    Publication,
    Resources,
)

WORDS = st.text(max_size=20)
NAMES = st.text(min_size=1, max_size=20)
METADATA = st.dictionaries(st.sampled_from(["zone", "cost"]), st.none() | st.booleans() | st.integers(-9, 9))
UINT32 = st.integers(0, 2**32 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)
FENCES = st.builds(Fence, UINT64, UINT32, UINT32, INT64)
FILES = st.builds(FileVersion, NAMES, WORDS, UINT64, st.binary(max_size=32))
PUBLICATIONS = st.builds(Publication, NAMES, st.lists(FILES, max_size=3).map(tuple), st.none() | FILES)
OUTPUTS = st.lists(PUBLICATIONS, max_size=3).map(tuple)
FAILURES = st.builds(Failure, st.sampled_from(FailureClass), WORDS, st.none() | st.integers(-(2**31), 2**31 - 1), WORDS)
EXECUTIONS = st.builds(
    Execution,
    fence=FENCES,
    workflow=NAMES,
    step=NAMES,
    command=NAMES,
    image=WORDS,
    argv=st.lists(WORDS, max_size=4).map(tuple),
    inputs=st.lists(st.builds(Input, NAMES, NAMES, NAMES, OUTPUTS), max_size=2).map(tuple),
    outputs=st.lists(st.builds(Output, NAMES, NAMES, NAMES), max_size=2).map(tuple),
    stdout=WORDS,
    timeout_s=st.floats(0, 1e9),
    network=st.booleans(),
    env=st.dictionaries(NAMES, WORDS, max_size=3),
    workdir=WORDS,
    entrypoint=st.lists(WORDS, max_size=2).map(tuple),
    resources=st.builds(Resources, st.none() | st.floats(0, 1e3), st.none() | UINT64, st.none() | UINT32),
    keep=WORDS,
    inputs_by_rpc=st.booleans(),
    secrets=st.dictionaries(NAMES, NAMES, max_size=2),
    keeps_entrypoint=st.booleans(),
    reuse=st.booleans(),
)
ORDERS = st.one_of(st.builds(Dispatch, EXECUTIONS), st.builds(Cancel, FENCES, WORDS), st.builds(Drain))
REPORTS = st.one_of(
    st.builds(
        Hello,
        WORDS,
        UINT32,
        UINT32,
        st.integers(0, 2**31 - 1),
        INT64,
        WORDS,
        WORDS,
        WORDS,
        st.booleans(),
        METADATA,
        cache=st.none() | st.builds(CacheFigures, *[UINT64] * 6),
    ),
    st.builds(Heartbeat, INT64, st.lists(FENCES, max_size=4).map(tuple)),
    st.builds(Started, FENCES),
    st.builds(Completed, FENCES, OUTPUTS, UINT32, WORDS),
    st.builds(Failed, FENCES, FAILURES, OUTPUTS, st.booleans()),
    st.builds(Cancelled, FENCES),
    st.builds(Goodbye, WORDS),
)


@given(st.builds(Inbox, NAMES, WORDS, INT64, st.lists(ORDERS, max_size=4).map(tuple)))
def test_inbox_round_trip(inbox: Inbox) -> None:
    """What a coordinator orders is what the worker reads."""
    assert decode_inbox(encode_inbox(inbox)) == inbox


@given(st.builds(WorkerReports, NAMES, NAMES, st.lists(REPORTS, max_size=4).map(tuple)))
def test_reports_round_trip(reports: WorkerReports) -> None:
    """What a worker says is what the coordinator reads."""
    assert decode_reports(encode_reports(reports)) == reports


@given(st.lists(REPORTS, max_size=6))
def test_packed_reports_are_the_same_reports(reports: list[object]) -> None:
    """A packer changes neither the reports nor their order."""
    packer = ReportPacker("w", "i")
    for report in reports:
        packer.add(report)  # type: ignore[arg-type]
    records = packer.take()
    assert [said for record in records for said in decode_reports(record).reports] == reports
    assert packer.take() == []


def test_packer_closes_a_record_before_a_bus_would_refuse_it() -> None:
    """Records stay well below the limit of a bus, however many reports wait."""
    packer = ReportPacker("w", "i")
    for step in range(40_000):
        packer.add_completed(fence_to_proto(Fence(2**60, step, 1, 2**60)))
    records = packer.take()
    assert max(map(len, records)) < RECORD_BYTES_FULL * 1.1
    assert [said.fence.step for record in records for said in decode_reports(record).reports] == list(range(40_000))  # type: ignore[union-attr]


@given(st.lists(FILES, max_size=5).map(tuple))
def test_manifest_round_trip(files: tuple[FileVersion, ...]) -> None:
    """A manifest gives back the files it was made of."""
    assert decode_manifest(encode_manifest(files)) == files


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read_never_worse(data: bytes) -> None:
    """Whatever lies on a topic, decoding ends with a value or with an error of ours."""
    for decode in (decode_inbox, decode_reports):
        with suppress(RequestError):
            decode(data)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 10, b"\x0a\x05ab"])
def test_known_garbage_is_refused(data: bytes) -> None:
    """Bytes that cannot be a record, or a record without its speaker, are refused."""
    with pytest.raises(RequestError):
        decode_inbox(data)
    with pytest.raises(RequestError):
        decode_reports(data)
