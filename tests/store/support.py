"""Builders for records and changes, and lives of a store, in this process or another."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

from agent.core.effects import MeterSampled, Report, TransactionEnded, TransactionStarted
from agent.core.values import (
    ChargingState,
    IdToken,
    Measurand,
    Quantity,
    ReadingContext,
    Sample,
    Stamp,
    StopReason,
    Trigger,
)
from agent.store.database import Changes, Store

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


def started(transaction_id="t-1"):
    at = Stamp(1, 10.0, 1_800_000_000.0)
    return TransactionStarted(
        transaction_id, 1, 1, at, Trigger.AUTHORIZED, ChargingState.CHARGING, IdToken("AA"), 1e6
    )


def ended(transaction_id="t-1"):
    return TransactionEnded(
        transaction_id,
        1,
        1,
        7,
        Stamp(1, 99.5),
        Trigger.STOP_AUTHORIZED,
        ChargingState.IDLE,
        StopReason.LOCAL,
        1_000_500.25,
    )


def sampled(monotonic_s=1.0):
    quantity = Quantity(Measurand.ENERGY_IMPORT, 1_234.5)
    sample = Sample(Stamp(1, monotonic_s), ReadingContext.CLOCK, (quantity,))
    return MeterSampled(1, 1, sample)


def reported(*numbers, record=None):
    return Changes(
        reports=tuple(Report(number, record or sampled(number)) for number in numbers)
    )


@contextlib.asynccontextmanager
async def opened(directory):
    store = Store.open(directory)
    try:
        yield store
    finally:
        await store.close()


def lived(directory, *commits):
    """Open a store, commit, and close it."""

    async def life():
        async with opened(directory) as store:
            for changes in commits:
                await store.commit(changes)

    asyncio.run(life())


def left(directory):
    """Return what a store would start with."""

    async def life():
        async with opened(directory) as store:
            return store.load()

    return asyncio.run(life())


def query(directory, sql):
    with contextlib.closing(sqlite3.connect(directory / "pilotwire.db")) as connection:
        return connection.execute(sql).fetchall()


def child(directory, body, *, unprivileged=False):
    """Start a process that runs the body of a coroutine with a store of this directory."""
    script = f"""
import asyncio, os, resource, sys
from pathlib import Path
from agent.core.effects import Report
from agent.store.database import Changes, Store, StoreError
from tests.store.support import reported, sampled
directory = Path({str(directory)!r})
if {unprivileged and os.geteuid() == 0}:
    os.setgid({NOBODY})
    os.setuid({NOBODY})
async def main():
{textwrap.indent(textwrap.dedent(body), "    ")}
asyncio.run(main())
"""
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )


def output_of(process):
    with process:
        text, _ = process.communicate()
    assert process.returncode == 0
    return text.strip()
