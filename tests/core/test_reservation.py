"""Reservations: whether a place can be kept, for whom it is, and how that ends."""

import pytest

from agent.core.effects import (
    Done,
    ReservationEnd,
    ReservationEnded,
    TransactionStarted,
    Verdict,
)
from agent.core.events import (
    AvailabilityRequested,
    FaultCleared,
    FaultRaised,
    HeartbeatAnswered,
    PilotChanged,
    ReservationCancelRequested,
    ReservationRequested,
    SettingsWriteRequested,
)
from agent.core.states import Active, Authorized, Idle
from agent.core.values import IdToken
from hal.types import Fault, PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench

HOUR_S = 3600.0


def reserve(
    bench: Bench,
    number: int = 11,
    evse_id: int | None = 1,
    id_token: IdToken = TAG,
    *,
    for_s: float = HOUR_S,
    group: str | None = None,
) -> Verdict:
    bench.ids += 1
    expires = WALL_S + bench.now_s + for_s
    request_id = bench.ids
    bench.post(ReservationRequested(request_id, number, id_token, expires, evse_id, group))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done.verdict


def cancel(bench: Bench, number: int) -> Verdict:
    bench.ids += 1
    request_id = bench.ids
    bench.post(ReservationCancelRequested(request_id, number))
    done = bench.reply(request_id)
    assert isinstance(done, Done)
    return done.verdict


def numbers(bench: Bench) -> list[int]:
    return list(bench.station.reservations.items)


def reserved(bench: Bench) -> set[int]:
    """Return the EVSEs that show as reserved."""
    return {status.evse_id for status in bench.station.statuses() if status.is_reserved}


def close(bench: Bench, evse_id: int | None = None) -> None:
    bench.post(AvailabilityRequested(900, operative=False, evse_id=evse_id))
    bench.effects.clear()


def ends(bench: Bench) -> list[tuple[int, ReservationEnd]]:
    return [(item.reservation_id, item.end) for item in bench.told_records(ReservationEnded)]


# --- whether ---


def test_a_free_evse_can_be_reserved_and_shows_it() -> None:
    bench = Bench(2, connectors=2).ready(2)
    assert reserve(bench) is Verdict.ACCEPTED
    shown = [
        (status.evse_id, status.connector_id)
        for status in bench.station.statuses()
        if status.is_reserved
    ]
    assert shown == [(1, 1), (1, 2)]  # they share one supply


def fault(bench: Bench) -> None:
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))


def plug(bench: Bench) -> None:
    bench.pilot(PilotState.B)


def tap(bench: Bench) -> None:
    bench.tap(OTHER)
    bench.grant(id_token=OTHER)


def finish(bench: Bench) -> None:
    bench.charge()
    bench.tap()
    bench.obey()
    bench.meter(1001.0)


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (fault, Verdict.FAULTED),
        (close, Verdict.UNAVAILABLE),
        (plug, Verdict.OCCUPIED),
        (tap, Verdict.OCCUPIED),
        (Bench.charge, Verdict.OCCUPIED),
        (finish, Verdict.OCCUPIED),
        (reserve, Verdict.OCCUPIED),
    ],
)
@pytest.mark.parametrize("evse_id", [1, None])
def test_what_is_not_free_cannot_be_reserved(before, verdict, evse_id) -> None:
    bench = Bench().ready()
    before(bench)
    assert reserve(bench, 12, evse_id, OTHER) is verdict
    assert 12 not in numbers(bench)


@pytest.mark.parametrize(
    ("evse_id", "for_s"), [(2, HOUR_S), (0, HOUR_S), (-1, HOUR_S), (1, 0.0), (1, -1.0)]
)
def test_what_cannot_be_meant_is_rejected(evse_id: int, for_s: float) -> None:
    assert reserve(Bench().ready(), evse_id=evse_id, for_s=for_s) is Verdict.REJECTED


def test_reservations_can_be_switched_off_and_rest_meanwhile() -> None:
    bench = Bench().ready()
    reserve(bench)
    bench.post(SettingsWriteRequested(1, (("ReservationCtrlr.Enabled", "false"),)))
    assert reserve(bench, 12) is Verdict.REJECTED
    assert not reserved(bench)
    bench.post(SettingsWriteRequested(2, (("ReservationCtrlr.Enabled", "true"),)))
    assert reserved(bench) == {1}


def test_a_station_may_want_to_know_the_evse() -> None:
    bench = Bench(ReservationCtrlr__NonEvseSpecific="false").ready()
    assert reserve(bench, evse_id=None) is Verdict.REJECTED
    assert reserve(bench) is Verdict.ACCEPTED


# --- the same number again ---


def test_the_same_number_moves_a_reservation() -> None:
    bench = Bench(2).ready(2)
    reserve(bench)
    assert reserve(bench, evse_id=2, id_token=OTHER) is Verdict.ACCEPTED
    assert reserved(bench) == {2}
    assert reserve(bench, evse_id=2, for_s=2 * HOUR_S) is Verdict.ACCEPTED  # its own place
    assert numbers(bench) == [11]


def test_a_reservation_that_cannot_move_stays_where_it_is() -> None:
    bench = Bench(2).ready(2)
    reserve(bench)
    bench.pilot(PilotState.B, 2)
    assert reserve(bench, evse_id=2) is Verdict.OCCUPIED
    assert reserved(bench) == {1}


# --- any EVSE ---


def test_any_evse_is_held_only_when_no_more_are_free_than_are_promised() -> None:
    bench = Bench(3).ready(3)
    assert reserve(bench, 1, None) is Verdict.ACCEPTED
    assert reserved(bench) == set()
    assert reserve(bench, 2, None, OTHER) is Verdict.ACCEPTED
    assert reserved(bench) == set()
    bench.pilot(PilotState.B, 2)
    assert reserved(bench) == {1, 3}
    bench.pilot(PilotState.A, 2)
    assert reserved(bench) == set()


def test_no_more_are_promised_than_are_free() -> None:
    bench = Bench(2).ready(2)
    assert reserve(bench, 1, None) is Verdict.ACCEPTED
    assert reserve(bench, 2, 2) is Verdict.ACCEPTED
    assert reserve(bench, 3, 1, OTHER) is Verdict.OCCUPIED  # it is promised to number 1
    assert reserve(bench, 4, None, OTHER) is Verdict.OCCUPIED
    assert reserved(bench) == {1, 2}


def test_of_several_places_one_that_is_busy_says_more_than_those_that_are_broken() -> None:
    bench = Bench(3).ready(3)
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    close(bench, 2)
    bench.pilot(PilotState.B, 3)
    assert reserve(bench, evse_id=None) is Verdict.OCCUPIED
    bench.pilot(PilotState.A, 3)
    close(bench, 3)
    assert reserve(bench, evse_id=None) is Verdict.UNAVAILABLE


def test_a_vehicle_in_the_last_free_evse_leaves_it_held_until_its_driver_is_known() -> None:
    bench = Bench(2).ready(2)
    reserve(bench, 1, None)
    bench.pilot(PilotState.B, 1)
    bench.wait(1)
    bench.pilot(PilotState.B, 2)
    assert reserved(bench) == {2}
    bench.tap(OTHER, 2)
    bench.grant(2, OTHER)
    assert isinstance(bench.session(2), Idle)
    bench.meter(1000.0, 2)
    bench.tap(TAG, 2)
    bench.grant(2)
    assert isinstance(bench.session(2), Active)
    assert not numbers(bench)


def test_the_holder_of_any_evse_uses_it_up_wherever_it_charges() -> None:
    bench = Bench(3).ready(3)
    reserve(bench, 7, None)
    bench.charge(2)
    (record,) = bench.told_records(TransactionStarted)
    assert record.reservation_id == 7
    assert not numbers(bench)


# --- use ---


def test_the_holder_starts_with_the_number_of_the_reservation() -> None:
    bench = Bench().ready()
    reserve(bench)
    bench.pilot(PilotState.C)
    assert reserved(bench) == {1}  # a vehicle alone proves nothing
    bench.tap()
    bench.grant()
    (record,) = bench.told_records(TransactionStarted)
    assert record.reservation_id == 11
    assert not numbers(bench)
    assert not ends(bench)


def test_a_holder_who_does_not_plug_in_keeps_the_place_until_the_reservation_ends() -> None:
    bench = Bench().ready()
    reserve(bench)
    bench.tap()
    bench.grant()
    assert reserved(bench) == set()  # seen to be there
    bench.wait(61)
    assert reserved(bench) == {1}


def test_a_reservation_that_expires_while_its_holder_plugs_in_names_no_number() -> None:
    bench = Bench().ready()
    reserve(bench, for_s=30)
    bench.tap()
    bench.grant()
    bench.wait(40)
    assert isinstance(bench.session(), Authorized)
    bench.meter(1000.0)
    bench.pilot(PilotState.C)
    (record,) = bench.told_records(TransactionStarted)
    assert record.reservation_id is None


def test_the_holder_elsewhere_leaves_the_reservation_as_it_is() -> None:
    bench = Bench(2).ready(2)
    reserve(bench)
    bench.charge(2)
    (record,) = bench.told_records(TransactionStarted)
    assert record.reservation_id is None
    assert reserved(bench) == {1}


def test_another_transaction_of_no_reservation_leaves_it_as_it_is() -> None:
    bench = Bench(2).ready(2)
    reserve(bench)
    bench.charge(2, OTHER)
    assert numbers(bench) == [11]


# --- ends ---


def test_a_reservation_is_cancelled_by_its_number() -> None:
    bench = Bench().ready()
    reserve(bench)
    assert cancel(bench, 12) is Verdict.REJECTED
    assert cancel(bench, 11) is Verdict.ACCEPTED
    assert cancel(bench, 11) is Verdict.REJECTED
    assert not reserved(bench)
    assert not ends(bench)


def test_a_reservation_expires_on_time_and_the_next_after_it() -> None:
    bench = Bench(2).ready(2)
    reserve(bench, for_s=100)
    reserve(bench, 12, 2, for_s=200)
    bench.wait(99.9)
    assert reserved(bench) == {1, 2}
    bench.wait(0.2)
    assert reserved(bench) == {2}
    bench.wait(100)
    assert ends(bench) == [(11, ReservationEnd.EXPIRED), (12, ReservationEnd.EXPIRED)]


@pytest.mark.parametrize("evse_id", [1, None])
def test_a_reservation_without_a_place_is_removed(evse_id: int | None) -> None:
    for breaks in (fault, close):
        bench = Bench().ready()
        reserve(bench, evse_id=evse_id)
        breaks(bench)
        assert ends(bench) == [(11, ReservationEnd.REMOVED)]
        assert not numbers(bench)


def test_a_fault_that_may_pass_removes_nothing() -> None:
    bench = Bench().ready()
    reserve(bench)
    bench.post(FaultRaised(1, Fault.OVER_VOLTAGE))
    bench.post(FaultCleared(1, Fault.OVER_VOLTAGE))
    assert reserved(bench) == {1}


def test_one_broken_evse_of_two_leaves_a_reservation_for_any() -> None:
    bench = Bench(2).ready(2)
    reserve(bench, evse_id=None)
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    assert reserved(bench) == {2}


# --- power cuts and clocks ---


def test_a_reservation_survives_a_power_cut_and_still_ends_on_time() -> None:
    bench = Bench().ready()
    reserve(bench, for_s=1000, group="FLEET")
    before = dict(bench.station.reservations.items)
    bench.power_cut(off_s=100)
    assert bench.station.reservations.items == before
    bench.wait(1000)
    assert ends(bench) == [(11, ReservationEnd.EXPIRED)]
    bench.power_cut()
    assert not numbers(bench)


def test_one_that_expired_in_the_dark_ends_at_the_boot() -> None:
    bench = Bench().ready()
    reserve(bench, for_s=50)
    bench.power_cut(off_s=100)
    assert ends(bench) == [(11, ReservationEnd.EXPIRED)]


def test_without_a_clock_a_reservation_waits_for_the_time() -> None:
    bench = Bench().ready()
    reserve(bench, for_s=1000)
    bench.wall_s = None
    bench.power_cut()
    bench.wait(5000)
    assert numbers(bench) == [11]
    bench.post(HeartbeatAnswered(WALL_S + 500))
    assert numbers(bench) == [11]
    bench.wait(600)
    assert ends(bench) == [(11, ReservationEnd.EXPIRED)]


def test_a_station_that_does_not_know_the_time_trusts_the_csms() -> None:
    bench = Bench(wall_s=None).ready()
    assert reserve(bench, for_s=-100) is Verdict.ACCEPTED
    bench.post(PilotChanged(1, PilotState.A))
    assert numbers(bench) == [11]
