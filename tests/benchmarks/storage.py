"""Rows `storage`: commits and bytes per meter sample, from its record to its acknowledgement.

The changes are those that the real core asks for in a transaction with a sample a minute,
recorded turn by turn in virtual time. They are written twice to the same disk: by our store,
and by the yardstick that anybody would begin with: SQLite's default journal, the same tables
and rows, one commit for what is inserted and one for what is deleted.

Bytes are what reaches the disk, as its block device counts them: with what the file system
writes for its own journal, and with what other processes write meanwhile. That can only add,
so of several rounds in turns the least counts. Where the device does not tell, the pages that
this process made dirty are counted instead.
"""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from agent.core import durable
from agent.core.effects import Effect, Forget, Report, SetAside, TransactionUpdated
from agent.core.events import Event
from agent.core.station import Station as Core
from agent.store import outbox, station
from agent.store.database import Changes, Store
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.support.lab import Lab, run

SAMPLES = 200
ROUNDS = 5
VERSION = "ocpp1.6"

_ON_DISK = Path("/var/tmp")  # noqa: S108  /tmp is memory on many machines, this is not
_MEASURANDS = (
    "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"
)


def recorded() -> list[Changes]:
    """Return what the core wants kept for `SAMPLES` samples and their acknowledgements."""
    kept: list[Changes] = []

    def observe(
        before: Core, batch: Sequence[Event], after: Core, effects: Sequence[Effect]
    ) -> None:
        del batch
        changes = _changes(before, after, effects)
        if not changes.is_empty:
            kept.append(changes)

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.charging()
        lab.shell.kernel.observers.append(observe)
        await asyncio.sleep((SAMPLES + 1) * 60.0 + 10.0)

    settings: dict[str, object] = {
        "MeterValueSampleInterval": 60,
        "MeterValuesSampledData": _MEASURANDS,
    }
    run(Lab(VERSION, settings=settings), story)
    return _whole(kept)


def _changes(before: Core, after: Core, effects: Sequence[Effect]) -> Changes:
    """Return what the kernel commits in a turn."""
    return Changes(
        rows=tuple(durable.changed(durable.rows(before), durable.rows(after))),
        reports=tuple(effect for effect in effects if isinstance(effect, Report)),
        forgotten=tuple(effect.record_id for effect in effects if isinstance(effect, Forget)),
        aside=tuple(effect for effect in effects if isinstance(effect, SetAside)),
    )


def _whole(kept: list[Changes]) -> list[Changes]:
    """Cut a recording so that it begins with a sample and holds `SAMPLES` of them."""
    starts = [number for number, changes in enumerate(kept) if _has_sample(changes)]
    if len(starts) <= SAMPLES:
        raise BenchmarkError(f"the station took {len(starts)} samples, not {SAMPLES + 1}")
    return kept[starts[0] : starts[SAMPLES]]


def _has_sample(changes: Changes) -> bool:
    return any(
        isinstance(report.record, TransactionUpdated) and report.record.samples
        for report in changes.reports
    )


# --- the two stores --------------------------------------------------------------------------


class _Cost(msgspec.Struct, frozen=True):
    """What it took to keep a recording."""

    commits: int
    written: int  # bytes


class _Commits:
    """Counts the commits among the statements that SQLite executes."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, statement: str) -> None:
        self.count += statement == "COMMIT"


async def _kept_by_store(directory: Path, changes: Sequence[Changes]) -> _Cost:
    store, commits = Store.open(directory), _Commits()
    # A connection may only be touched on the thread that it belongs to.
    watch: Callable[..., None] = store._connection.set_trace_callback
    store._thread.submit(watch, commits).result()
    before = _written(directory)
    for item in changes:
        await store.commit(item)
    await store.ping()
    # The last acknowledgement rides on the sample behind the recording, like the others.
    cost = _Cost(commits.count, _written(directory) - before)
    await store.close()
    return cost


def _kept_by_yardstick(directory: Path, changes: Sequence[Changes]) -> _Cost:
    connection = sqlite3.connect(directory / "yardstick.db", isolation_level=None)
    script = resources.files("agent.store").joinpath("migrations", "0001_initial.sql")
    connection.executescript(script.read_text("utf-8"))
    commits = _Commits()
    connection.set_trace_callback(commits)
    before = _written(directory)
    for item in changes:
        if item.rows or item.reports:
            connection.execute("BEGIN")
            station.write(connection, item.rows)
            outbox.append(connection, item.reports)
            connection.execute("COMMIT")
        for record_id in item.forgotten:
            connection.execute("BEGIN")
            outbox.forget(connection, (record_id,))
            connection.execute("COMMIT")
    cost = _Cost(commits.count, _written(directory) - before)
    connection.close()
    return cost


def _written(directory: Path) -> int:
    """Return the bytes written so far to the disk that holds a directory."""
    device = directory.stat().st_dev
    counts = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    if counts.exists():
        # The seventh field counts sectors of 512 bytes, whatever the device's own are.
        return int(counts.read_text().split()[6]) * 512
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _measure() -> Sequence[Figures]:
    changes = recorded()
    ours: list[_Cost] = []
    theirs: list[_Cost] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="pw-bench-", dir=_ON_DISK) as name:
            theirs.append(_kept_by_yardstick(Path(name), changes))
            ours.append(asyncio.run(_kept_by_store(Path(name), changes)))
    if not min(cost.written for cost in theirs):
        raise BenchmarkError(f"{_ON_DISK} is no disk: nothing counts what is written to it")
    return (
        Figures(ours[0].commits / SAMPLES, theirs[0].commits / SAMPLES),
        Figures(_least_kib(ours), _least_kib(theirs)),
    )


def _least_kib(costs: Sequence[_Cost]) -> float:
    return min(cost.written for cost in costs) / SAMPLES / 1024


STORAGE = Benchmark(
    (
        Row("storage.commits", "per sample, to its acknowledgement", "", Sense.COST, 0.5),
        Row("storage.bytes", "per sample, to its acknowledgement", "KiB", Sense.COST, 0.2),
    ),
    _measure,
)
