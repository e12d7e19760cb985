"""Rows `serve`, `memory` and `start`: the agent as a process, beside the peer's bare one.

Ours is the agent as shipped on the simulated board: kernel, store, hardware, meter over Modbus
and control socket. The board itself is a process of its own and is not counted: on a charger
it is hardware.
"""

import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter

from tests.benchmarks.children import (
    PATIENCE_S,
    PEER,
    STATION,
    Guest,
    Hall,
    hall,
    mib,
)
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.benchmarks.messages import charging_profile

SERVE_ROUNDS, SERVE_CALLS = 9, 300
HEARTBEATS, HEARTBEAT_S = 6, 10
"""A settled minute: 10 s is the shortest interval that the agent takes from a CSMS."""

POLL_S = 0.1
START_ROUNDS = 9

NO_CONNECTOR = 9
"""A connector that the station does not have: the whole path is taken, nothing is kept."""


# --- requests answered per second ------------------------------------------------------------


async def _served() -> Figures:
    rates: dict[str, list[float]] = {STATION: [], PEER: []}
    payload = json.dumps(charging_profile(NO_CONNECTOR), separators=(",", ":"))
    async with hall() as csms, AsyncExitStack() as stack:
        for command in csms.commands.values():
            await stack.enter_async_context(csms.running(*command))
        guests = {identity: await csms.booted(identity) for identity in rates}
        await _measures(csms)
        for identity, guest in guests.items():
            _expect_refusal(identity, await guest.ask(_call(0, payload)))
        for _ in range(1 + SERVE_ROUNDS):
            for identity, guest in guests.items():
                rates[identity].append(await _rate(guest, payload))
    ours, theirs = (statistics.median(rates[identity][1:]) for identity in (STATION, PEER))
    return Figures(ours, theirs)


async def _rate(guest: Guest, payload: str) -> float:
    begun = perf_counter()
    for number in range(SERVE_CALLS):
        await guest.ask(_call(number, payload))
    return SERVE_CALLS / (perf_counter() - begun)


def _call(number: int, payload: str) -> str:
    return f'[2,"{number}","SetChargingProfile",{payload}]'


def _expect_refusal(identity: str, frame: str) -> None:
    """Make sure that the request was decided: refused by status, or for its connector."""
    kind, _, *rest = json.loads(frame)
    refused = (kind == 3 and rest[0] == {"status": "Rejected"}) or (
        kind == 4 and rest[0] == "PropertyConstraintViolation"
    )
    if not refused:
        raise BenchmarkError(f"{identity} answers {frame}, a refusal is expected")


# --- memory ----------------------------------------------------------------------------------


async def _remembered() -> tuple[Figures, Figures]:
    async with hall(interval_s=HEARTBEAT_S) as csms, AsyncExitStack() as stack:
        bare = csms.commands[PEER][:-1]  # connected, and nothing else
        ours = await stack.enter_async_context(csms.running(*csms.commands[STATION]))
        theirs = await stack.enter_async_context(csms.running(*bare))
        guest = await csms.booted(STATION)
        await csms.until(lambda: PEER in csms.guests, f"{PEER} does not connect")
        await csms.until(
            lambda: guest.calls.get("Heartbeat", 0) >= HEARTBEATS,
            f"{STATION} does not send {HEARTBEATS} heartbeats",
            HEARTBEATS * HEARTBEAT_S + PATIENCE_S,
        )
        await _measures(csms)
        return (
            Figures(_mib(ours, "status", "VmRSS"), _mib(theirs, "status", "VmRSS")),
            Figures(_mib(ours, "smaps_rollup", "Pss"), _mib(theirs, "smaps_rollup", "Pss")),
        )


def _mib(pid: int, file: str, key: str) -> float:
    return mib(Path(f"/proc/{pid}/{file}").read_text(), key)


async def _measures(csms: Hall) -> None:
    """Wait until the agent has a fresh reading of its meter."""
    for _ in range(int(PATIENCE_S / POLL_S)):
        if await _is_measuring(csms.directory / "control.sock"):
            return
        await asyncio.sleep(POLL_S)
    raise BenchmarkError(f"{STATION} does not read its meter within {PATIENCE_S:g} s")


async def _is_measuring(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
    except OSError:
        return False
    writer.write(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n')
    meter = json.loads(await reader.readline())["result"]["evses"][0]["meter"]
    writer.close()
    return meter is not None and not meter["stale"]


# --- start -----------------------------------------------------------------------------------


async def _started() -> Figures:
    taken: dict[str, list[float]] = {STATION: [], PEER: []}
    async with hall() as csms:
        for _ in range(START_ROUNDS):
            for identity, times in taken.items():
                times.append(await csms.start_s(identity))
    ours, theirs = (statistics.median(taken[identity]) for identity in (STATION, PEER))
    return Figures(ours * 1e3, theirs * 1e3)


def _measure_serve() -> Sequence[Figures]:
    return (asyncio.run(_served()),)


def _measure_memory() -> Sequence[Figures]:
    return asyncio.run(_remembered())


def _measure_start() -> Sequence[Figures]:
    return (asyncio.run(_started()),)


SERVE = Benchmark(
    (Row("serve.1.6-SetChargingProfile", "requests answered", "/s", Sense.MORE, 4.0),),
    _measure_serve,
)
MEMORY = Benchmark(
    (
        Row("memory.resident", "idle and connected, VmRSS", "MiB", Sense.COST, 1.25),
        Row("memory.proportional", "idle and connected, PSS", "MiB", Sense.COST, None),
    ),
    _measure_memory,
)
START = Benchmark(
    (Row("start.boot", "process start to BootNotification", "ms", Sense.COST, 1.0),),
    _measure_start,
)
