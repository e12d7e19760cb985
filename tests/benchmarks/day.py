"""Rows `day`: a station's day in virtual time, against the day itself.

The whole shell lives it: kernel, store on a file, simulated hardware that reports its meter
every second while energy flows, link and bench CSMS. Two vehicles come, for two hours and for
four; a sample is sent every minute. Checking the frames against the schemas is the test
suite's business and not in the time.

There is no peer to meet the same busy moment of the machine, so the time is that of the
processor: of all threads, without what other processes take. Their presence still makes it
longer and never shorter, so the least of several rounds counts. The lab keeps its files in
memory: on a machine of its own this is also the time that passes.
"""

import asyncio
from collections.abc import Sequence
from time import process_time

from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.support.lab import Lab, run

DAY_S = 86_400.0
SESSIONS = ((9 * 3600.0, 2 * 3600.0), (18 * 3600.0, 4 * 3600.0))
"""When a vehicle is plugged in, and how long it charges, in seconds."""

SAMPLE_S = 60
ROUNDS = 5


def lived_s(version: str) -> float:
    """Live one day, and return the processor seconds it took."""
    taken: list[float] = []

    async def story(lab: Lab) -> None:
        begun = process_time()
        await _day(lab)
        taken.append(process_time() - begun)
        if len(lab.bills) != len(SESSIONS):
            raise BenchmarkError(f"{len(lab.bills)} bills after {len(SESSIONS)} sessions")

    run(Lab(version, settings={"MeterValueSampleInterval": SAMPLE_S}), story)
    return taken[0]


async def _day(lab: Lab) -> None:
    loop = asyncio.get_running_loop()
    await lab.start()
    lab.shell.kernel.observers.clear()  # the lab's own book of statuses is not the station
    for plugged_at, charging_s in SESSIONS:
        await asyncio.sleep(plugged_at - loop.time())
        lab.plug()
        await asyncio.sleep(5.0)
        lab.tap()
        await asyncio.sleep(charging_s)
        lab.tap()
        await asyncio.sleep(30.0)
        lab.unplug()
    await asyncio.sleep(DAY_S - loop.time())


def _measure() -> Sequence[Figures]:
    versions = ("ocpp1.6", "ocpp2.0.1")
    taken: dict[str, list[float]] = {version: [] for version in versions}
    for _ in range(ROUNDS):
        for version in versions:
            taken[version].append(lived_s(version))
    return [Figures(DAY_S / min(taken[version]), 1.0) for version in versions]


DAY = Benchmark(
    (
        Row("day.1.6", "simulated seconds per second", "s/s", Sense.MORE, 20_000.0),
        Row("day.2.0.1", "simulated seconds per second", "s/s", Sense.MORE, 20_000.0),
    ),
    _measure,
)
