"""Traces: whatever leads the core can be kept, and leads it to the same place again."""

import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.effects import Effect
from agent.core.events import (
    DeadlinePassed,
    Event,
    InstallerFound,
    LogRequested,
    MeterFailed,
    MeterRead,
    UpdateRequested,
    UpdateWorkEnded,
    UploadEnded,
)
from agent.core.orders import (
    Failure,
    LogKind,
    LogOrder,
    Step,
    UpdateOrder,
    UpdateWork,
    UploadStatus,
    UploadWork,
)
from agent.core.routing import step
from agent.core.station import Station, targets
from agent.store import trace
from tests.support.core import Bench, reading
from tests.support.lives import EVENTS

VERSION = "1.2.3"


def begun() -> Bench:
    """Return a station that charges."""
    bench = Bench(2).ready(2)
    bench.charge()
    return bench


def recorded(bench: Bench, events: list[Event]) -> bytes:
    """Lead a station through events, and return the trace."""
    station = bench.station
    entries: list[trace.Entry] = [trace.whole(station, VERSION)]
    for number, event in enumerate(events):
        bench.now_s += number % 7
        env = bench.env()
        station, effects = step(station, event, env)
        entries.append(trace.turn([(event, env)], effects, targets(station)))
    half = len(entries) // 2 or 1
    return trace.packed(entries[:half]) + trace.packed(entries[half:])


def replayed(content: bytes) -> Station:
    """Lead the station of a trace through it, and hold every turn to what is kept of it."""
    station: Station | None = None
    for entry in trace.entries(content):
        if isinstance(entry, trace.Whole):
            station = trace.station_of(entry)
            continue
        assert station is not None
        effects: list[Effect] = []
        for event, env in map(trace.lived_of, entry.steps):
            station, told = step(station, event, env)
            effects += told
        assert tuple(type(effect).__name__ for effect in effects) == entry.told
        assert trace.digest(effects, targets(station)) == entry.digest
    assert station is not None
    return station


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_can_be_kept(kind: type) -> None:
    @settings(max_examples=20, deadline=None)
    @given(EVENTS[kind])
    def kept(event: Event) -> None:
        bench = Bench()
        env = bench.env()
        content = trace.packed(
            [
                trace.whole(bench.station, VERSION),
                trace.turn([(event, env)], (), targets(bench.station)),
            ]
        )
        _, found = trace.entries(content)
        assert isinstance(found, trace.Turn)
        again, world = trace.lived_of(found.steps[0])
        assert (again, world.now) == (event, env.now)
        if kind not in {MeterRead, MeterFailed}:
            assert world == env

    kept()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(*EVENTS.values()), max_size=40))
def test_a_life_that_is_led_again_comes_to_the_same(events: list[Event]) -> None:
    replayed(recorded(begun(), events))


def test_a_station_is_the_same_again() -> None:
    station = begun().station
    (entry,) = trace.entries(trace.packed([trace.whole(station, VERSION)]))
    assert isinstance(entry, trace.Whole)
    again = trace.station_of(entry)
    assert entry.version == VERSION
    assert again.evses == station.evses
    assert again.outbox == station.outbox
    assert again.settings == station.settings
    assert targets(again) == targets(station)


def test_the_login_of_a_location_is_not_kept_and_nothing_comes_out_otherwise() -> None:
    """Orders are compared with each other and with the work that ends: all lose the same."""
    image = UpdateOrder(7, "https://user:s3cret@host/image", None, None, "PEM", "c2ln")
    logs = LogOrder(8, LogKind.DIAGNOSTICS, "ftp://user:s3cret@host/logs")
    asked = UpdateWork(1, Step.CHECK, image)
    events: list[Event] = [
        InstallerFound("slots", "a"),
        LogRequested(1, logs),
        LogRequested(2, logs),
        UpdateRequested(3, image),
        UpdateWorkEnded(asked),
        UpdateWorkEnded(UpdateWork(1, Step.DOWNLOAD, image), Failure.TRANSFER, "cut off"),
        UploadEnded(UploadWork(1, logs, "CP001_x.tar.gz"), UploadStatus.UPLOAD_FAILURE),
    ]
    for begin in range(len(events)):
        bench = Bench(2, protocols=("FTP", "HTTPS")).ready(2)
        for event in events[:begin]:
            bench.post(event)
        kept = [trace.whole(bench.station, VERSION)]
        assert b"s3cret" not in zlib.decompress(trace.packed(kept)[4:])
        content = recorded(bench, events[begin:])
        found = list(trace.entries(content))
        assert "s3cret" not in str(found)
        assert replayed(content).firmware.update is not None


def test_a_plain_reading_costs_little() -> None:
    readings: list[Event] = [MeterRead(1, reading(1000.0 + n, 7360.0)) for n in range(3600)]
    content = recorded(begun(), readings)
    assert len(content) < 3600 * 60


def test_a_file_that_was_cut_off_is_whole_up_to_there() -> None:
    content = recorded(begun(), [DeadlinePassed()] * 10)
    count = len(list(trace.entries(content)))
    assert 0 < len(list(trace.entries(content[:-1]))) < count


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, this is no trace at all",
        b"\x00\x00\x00\x04abcd",
        trace.packed([])[:4] + trace.packed([])[4:],
        trace.packed([trace.Turn((), (), b"")]),
        len(zlib.compress(b"\x00" * (trace.MOST_CHUNK + 1))).to_bytes(4, "big")
        + zlib.compress(b"\x00" * (trace.MOST_CHUNK + 1)),
    ],
    ids=["empty", "text", "no zlib", "no entry", "no station", "a bomb"],
)
def test_what_is_no_trace_is_refused(content: bytes) -> None:
    with pytest.raises(trace.TraceError):
        list(trace.entries(content))


def test_what_another_version_wrote_is_said_to_be() -> None:
    with pytest.raises(trace.TraceError, match=r"the station of version 9\.9 cannot be read"):
        trace.station_of(trace.Whole("9.9", trace.msgspec.Raw(b"\x80")))
    at = Bench().env().now
    for kind, raw in (("Unknown", b"\x80"), ("PilotChanged", b"\x80")):
        with pytest.raises(trace.TraceError, match=f"an event {kind} cannot be read"):
            trace.lived_of(trace.Step(kind, trace.msgspec.Raw(raw), at))
