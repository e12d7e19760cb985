"""What the runtime makes of drivers' reports: readings that cannot be, trips that come again."""

import asyncio

import pytest
from msgspec.structs import replace

from agent.core.events import FaultCleared, FaultRaised, MeterFailed, MeterRead
from agent.runtime.reporter import MOST_RETRIES, RETRY_TRIP_S, Reporter
from hal.types import Fault, Phases, PilotState
from tests.support.core import reading
from tests.support.vloop import run

TRIP = Fault.GROUND_FAILURE


class Told:
    """A reporter and what it posted."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.reporter = Reporter(1, self.events.append)
        self.reporter.pilot_changed(PilotState.C)

    def of(self, kind: type) -> list[object]:
        return [event for event in self.events if isinstance(event, kind)]

    def trip(self) -> None:
        """Trip, and be well again as far as the device is concerned."""
        self.reporter.fault_raised(TRIP, "tripped")
        self.reporter.fault_cleared(TRIP)


def told(story):
    async def main():
        await story(Told())

    run(main())


def test_the_first_trip_is_over_when_the_device_says_so():
    async def story(now):
        now.trip()
        assert now.of(FaultCleared) == [FaultCleared(1, TRIP)]

    told(story)


def test_a_trip_that_comes_again_waits_five_minutes():
    async def story(now):
        now.trip()
        now.trip()
        await asyncio.sleep(RETRY_TRIP_S - 1.0)
        assert len(now.of(FaultCleared)) == 1
        await asyncio.sleep(2.0)
        assert len(now.of(FaultCleared)) == 2

    told(story)


def test_a_trip_during_the_wait_begins_the_wait_anew_and_a_repeated_word_does_not():
    async def story(now):
        now.trip()
        now.trip()
        await asyncio.sleep(200.0)
        now.reporter.fault_cleared(TRIP)
        now.reporter.fault_raised(TRIP, "tripped")
        now.reporter.fault_raised(TRIP, "told again")
        now.reporter.fault_cleared(TRIP)
        await asyncio.sleep(200.0)
        assert len(now.of(FaultCleared)) == 1
        await asyncio.sleep(101.0)
        assert len(now.of(FaultCleared)) == 2

    told(story)


def test_after_the_last_retry_only_another_vehicle_helps():
    async def story(now):
        for _ in range(MOST_RETRIES):
            now.trip()
            await asyncio.sleep(RETRY_TRIP_S + 1.0)
        now.trip()
        await asyncio.sleep(100 * RETRY_TRIP_S)
        assert len(now.of(FaultCleared)) == MOST_RETRIES
        now.reporter.pilot_changed(PilotState.A)
        assert len(now.of(FaultCleared)) == MOST_RETRIES + 1
        now.reporter.pilot_changed(PilotState.C)
        now.trip()
        assert len(now.of(FaultCleared)) == MOST_RETRIES + 2

    told(story)


def test_an_unplug_ends_the_wait_and_its_timer():
    async def story(now):
        now.trip()
        now.trip()
        now.reporter.pilot_changed(PilotState.A)
        assert len(now.of(FaultCleared)) == 2
        await asyncio.sleep(2 * RETRY_TRIP_S)
        assert len(now.of(FaultCleared)) == 2

    told(story)


def test_without_a_vehicle_a_trip_is_over_at_once():
    async def story(now):
        now.reporter.pilot_changed(PilotState.A)
        for _ in range(3):
            now.trip()
        assert len(now.of(FaultCleared)) == 3

    told(story)


def test_a_latched_fault_stays_whatever_happens():
    async def story(now):
        now.reporter.latch(TRIP, "failed its test")
        now.reporter.fault_cleared(TRIP)
        now.reporter.pilot_changed(PilotState.A)
        await asyncio.sleep(2 * RETRY_TRIP_S)
        assert now.of(FaultRaised) == [FaultRaised(1, TRIP, "failed its test")]
        assert not now.of(FaultCleared)

    told(story)


def test_other_faults_come_and_go_as_the_device_says():
    async def story(now):
        for _ in range(MOST_RETRIES + 2):
            now.reporter.fault_raised(Fault.UNDER_VOLTAGE)
            now.reporter.fault_cleared(Fault.UNDER_VOLTAGE)
        assert len(now.of(FaultCleared)) == MOST_RETRIES + 2

    told(story)


def test_a_reading_that_cannot_be_is_a_failed_poll():
    async def story(now):
        now.reporter.meter_read(reading())
        now.reporter.meter_read(replace(reading(), voltage_v=Phases(230.0, 999.0, 230.0)))
        assert now.of(MeterRead) == [MeterRead(1, reading())]
        (failure,) = now.of(MeterFailed)
        assert "999" in failure.reason

    told(story)


@pytest.mark.parametrize("fault", [Fault.GROUND_FAILURE, Fault.DIODE_FAULT])
def test_whatever_protects_from_a_vehicle_counts_as_a_trip(fault):
    async def story(now):
        for _ in range(2):
            now.reporter.fault_raised(fault)
            now.reporter.fault_cleared(fault)
        assert len(now.of(FaultCleared)) == 1

    told(story)


async def read_for(now: Told, seconds: int, current_a: float = 0.0) -> int:
    """Read the meter once a second; return how many readings were passed on."""
    before = len(now.of(MeterRead))
    for _ in range(seconds):
        now.reporter.meter_read(replace(reading(0.0), current_a=Phases(current_a, 0.0, 0.0)))
        await asyncio.sleep(1.0)
    return len(now.of(MeterRead)) - before


def test_without_a_vehicle_every_fifth_reading_is_passed_on():
    async def story(now):
        now.reporter.pilot_changed(PilotState.A)
        now.reporter.outlet_changed(closed=False)
        assert await read_for(now, 20) == 4

    told(story)


@pytest.mark.parametrize(
    ("pilot", "is_closed", "current_a"),
    [
        (PilotState.B, False, 0.0),
        (PilotState.A, True, 0.0),
        (PilotState.A, False, 0.5),
        (PilotState.A, False, -0.5),
    ],
)
def test_every_reading_is_passed_on_that_could_tell_something(pilot, is_closed, current_a):
    async def story(now):
        now.reporter.pilot_changed(pilot)
        now.reporter.outlet_changed(closed=is_closed)
        assert await read_for(now, 10, current_a) == 10

    told(story)


def test_a_meter_that_is_well_again_is_told_at_once():
    async def story(now):
        now.reporter.pilot_changed(PilotState.A)
        now.reporter.outlet_changed(closed=False)
        assert await read_for(now, 1) == 1
        now.reporter.meter_failed("no answer")
        assert await read_for(now, 1) == 1

    told(story)
