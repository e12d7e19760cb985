"""The station as a whole: targets, deadlines, and what it is asked."""

from agent.core.effects import (
    TransactionStarted,
)
from agent.core.events import (
    LinkDown,
    LinkUp,
)
from agent.core.station import deadline, due, targets
from hal.types import PilotState
from tests.support.core import WALL_S, Bench


def test_a_station_starts_with_everything_off_and_a_dial() -> None:
    bench = Bench(2)
    wanted = targets(bench.station)
    assert [wanted.of(evse_id).energize for evse_id in (1, 2, 3)] == [False] * 3
    assert wanted.dial == 0


def test_the_deadline_is_the_earliest_that_any_block_wants() -> None:
    bench = Bench().ready()
    heartbeat = deadline(bench.station)
    assert heartbeat == bench.now_s + 300
    bench.pilot(PilotState.B)
    bench.tap()
    assert deadline(bench.station) == bench.now_s + 10  # the wait for the CSMS's answer
    bench.grant()
    assert deadline(bench.station) == bench.now_s + 5  # the vehicle's time to get ready


def test_a_reading_changes_nothing_about_when_the_blocks_want_to_be_woken() -> None:
    bench = Bench().ready()
    before = due(bench.station)
    bench.meter(1001.0)
    after = due(bench.station, before)
    assert after.blocks_s == before.blocks_s
    assert after.at_s == deadline(bench.station)
    bench.post(LinkDown("lost"))  # nobody's heart beats without a link
    assert due(bench.station, after).blocks_s != after.blocks_s


def test_a_station_without_profiles_that_has_nothing_to_do_never_wants_to_be_woken() -> None:
    bench = Bench(profiles=0)
    bench.wait(60.0)  # nobody knows yet whether a vehicle draws
    assert deadline(bench.station) is None


def test_statuses_name_the_station_and_every_connector() -> None:
    bench = Bench(2, connectors=2).ready(2)
    keys = [(item.evse_id, item.connector_id) for item in bench.station.statuses()]
    assert keys == [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_station_is_online_only_with_the_csms_that_accepted_it() -> None:
    bench = Bench(profiles=2)
    bench.connect()
    assert bench.station.is_online
    bench.post(LinkDown("lost"))
    assert not bench.station.is_online
    bench.post(LinkUp(1, "ocpp2.0.1", "ws://other", 0))
    assert not bench.station.is_online


def test_told_times_and_deliveries_are_asked_of_the_station() -> None:
    bench = Bench().ready()
    bench.charge()
    (started,) = bench.told_records(TransactionStarted)
    delivery = bench.station.delivery(started.transaction_id)
    assert delivery is not None
    assert delivery.started == started
    assert bench.station.delivery("unknown") is None
    assert bench.station.told_s(started.at) == WALL_S + started.at.monotonic_s
