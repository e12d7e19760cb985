import json

import pytest
from msgspec.structs import replace

from agent.core.events import (
    AvailabilityRequested,
    FaultRaised,
    LinkDown,
    LinkHeld,
    MeterRead,
    PilotChanged,
    ReservationRequested,
    StorageFailed,
    TransactionAcknowledged,
    VehicleNeedsTold,
    VehicleScheduleChosen,
)
from agent.core.smart_charging.needs import ChargingNeeds, Transfer
from agent.core.smart_charging.profile import Period, Schedule, Unit
from agent.ocpp.v16.statuses import project
from agent.runtime.snapshot import clock, snapshot
from hal.types import DcReading, Fault, PilotState
from tests.support.core import INFO, OTHER, TAG, WALL_S, Bench, reading


def taken(bench):
    """Return the status as a program would read it."""
    return json.loads(json.dumps(snapshot(bench.station, project, bench.env().now)))


def evse(bench, evse_id=1):
    return taken(bench)["evses"][evse_id - 1]


def test_before_anything_is_known_nothing_is_claimed():
    status = taken(Bench(wall_s=None))
    assert status["station"] == {
        "identity": INFO.identity,
        "vendor": INFO.vendor,
        "model": INFO.model,
        "serial_number": INFO.serial_number,
        "firmware_version": INFO.firmware_version,
    }
    assert status["csms"] == {
        "connected": False,
        "url": None,
        "protocol": None,
        "registration": None,
        "security_profile": None,
        "held": False,
        "reason": None,
    }
    assert status["outbox"] == {"queued": 0, "oldest_at": None, "transmissions": 0}
    assert status["clock"] == {"at": None, "known": False}
    assert status["firmware"] == {"state": "Idle", "slot": None, "trial": False}
    (found,) = status["evses"]
    assert found["pilot"] is None
    assert found["meter"] is None
    assert found["transaction"] is None
    assert found["energized"] is False


def test_online_it_says_with_whom_and_in_which_version():
    status = taken(Bench().ready())
    assert status["csms"]["connected"] is True
    assert status["csms"]["url"] == "ws://csms"
    assert status["csms"]["protocol"] == "ocpp2.0.1"
    assert status["csms"]["registration"] == "Accepted"
    assert status["csms"]["security_profile"] == 0
    assert status["clock"]["known"] is True
    assert status["clock"]["at"].startswith("2027-01-15T08:00:")


def test_the_clock_is_the_stations_own():
    bench = Bench()
    assert clock(bench.station, bench.env().now) == taken(bench)["clock"]["at"]


def test_a_session_is_shown_from_limits_to_energy():
    bench = Bench().ready()
    bench.charge()
    bench.meter(1500.0, power_w=11_040.0)
    found = evse(bench)
    assert found["pilot"] == "C"
    assert found["energized"] is True
    assert found["setpoint_a"] == 32.0
    assert {limit["origin"]: limit["limit_a"] for limit in found["limits"]} == {
        "hardware": 32.0,
        "board": 32.0,
    }
    assert found["meter"] == {
        "energy_import_wh": 1500.0,
        "power_w": 11_040.0,
        "current_a": [0.0, 0.0, 0.0],
        "voltage_v": [230.0, 230.0, 230.0],
        "stale": False,
    }
    assert found["connectors"] == [{"connector_id": 1, "status": "Charging", "operative": True}]
    transaction = found["transaction"]
    assert transaction["id_token"] == TAG.value
    assert transaction["remote_id"] is None
    assert transaction["energy_wh"] == 500.0
    assert transaction["started_at"].startswith("2027-01-15T08:00:")
    assert transaction["suspended"] is False
    queued = taken(bench)["outbox"]
    assert queued["queued"] >= 1
    assert queued["oldest_at"].startswith("2027-01-15T08:00:")


def test_an_outlet_of_direct_current_is_shown_beside_what_it_takes_from_the_supply():
    bench = Bench().ready()
    outlet = DcReading(402.0, 120.0)
    bench.post(MeterRead(1, replace(reading(1500.0, 48_240.0), dc=outlet, soc_pct=40.0)))
    assert evse(bench)["meter"]["dc"] == {
        "voltage_v": 402.0,
        "current_a": 120.0,
        "soc_pct": 40.0,
    }


def test_the_number_that_the_csms_gave_is_shown():
    bench = Bench().ready()
    bench.charge()
    transaction_id = evse(bench)["transaction"]["transaction_id"]
    bench.post(TransactionAcknowledged(transaction_id, 4711))
    assert evse(bench)["transaction"]["remote_id"] == 4711


def test_after_a_power_cut_the_energy_is_what_was_written_down_until_the_meter_speaks():
    bench = Bench().ready()
    bench.charge()
    bench.power_cut()
    assert evse(bench)["meter"] is None
    assert evse(bench)["transaction"]["energy_wh"] == 0.0


def test_a_reading_that_has_grown_old_is_marked():
    bench = Bench().ready()
    bench.post(MeterRead(1, reading(1000.0)))
    bench.now_s += 11.0
    assert evse(bench)["meter"]["stale"] is True


def test_an_authorization_that_waits_for_a_vehicle_is_shown():
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    assert evse(bench)["authorized"] == TAG.value


@pytest.mark.parametrize(
    ("events", "word"),
    [
        ((), "Available"),
        ((PilotChanged(1, PilotState.B),), "Preparing"),
        ((FaultRaised(1, Fault.GROUND_FAILURE, "tripped"),), "Faulted"),
        ((AvailabilityRequested(1, operative=False),), "Unavailable"),
        ((StorageFailed("full"),), "Faulted"),
    ],
)
def test_connectors_have_the_words_of_16_whatever_is_spoken(events, word):
    bench = Bench().ready()
    for event in events:
        bench.post(event)
    assert evse(bench)["connectors"][0]["status"] == word


def test_faults_and_a_held_link_and_a_disk_that_refuses_are_told():
    bench = Bench(evses=2).ready(2)
    bench.post(FaultRaised(2, Fault.GROUND_FAILURE, "tripped"))
    bench.post(LinkHeld(held=True))
    bench.post(StorageFailed("full"))
    status = taken(bench)
    assert status["evses"][0]["faults"] == []
    (fault,) = status["evses"][1]["faults"]
    assert (fault["fault"], fault["info"]) == ("GroundFailure", "tripped")
    assert status["csms"]["held"] is True
    assert status["storage"] == {"writes": False}


def test_a_reservation_says_for_whom_the_evse_is_kept() -> None:
    bench = Bench(2).ready(2)
    bench.post(ReservationRequested(1, 11, TAG, WALL_S + 3600, 1, "FLEET"))
    bench.post(ReservationRequested(2, 12, OTHER, WALL_S + 3600))
    first, second = taken(bench)["evses"]
    assert first["reservation"] == {
        "reservation_id": 11,
        "id_token": TAG.value,
        "group": "FLEET",
        "expires_at": "2027-01-15T09:00:00.000Z",
        "any_evse": False,
    }
    assert first["connectors"][0]["status"] == "Reserved"
    assert second["reservation"]["reservation_id"] == 12
    assert second["reservation"]["any_evse"] is True


def test_a_vehicle_that_negotiates_is_shown_with_its_offer() -> None:
    bench = Bench(ISO15118Ctrlr__Enabled="true").ready()
    bench.charge()
    (evse,) = taken(bench)["evses"]
    assert evse["vehicle"] is None
    needs = ChargingNeeds(Transfer.THREE_PHASE, 20_000, 6, 32, 230, int(WALL_S) + 3600)
    bench.post(VehicleNeedsTold(1, needs))
    (evse,) = taken(bench)["evses"]
    assert evse["vehicle"] == {"waits": True, "number": 0, "chosen": None, "offers": []}
    bench.post(LinkDown("gone"))
    bench.post(VehicleScheduleChosen(1, Schedule(Unit.AMPERE, (Period(0, 16_000),), 1)))
    (evse,) = taken(bench)["evses"]
    assert evse["vehicle"] == {
        "waits": False,
        "number": 1,
        "chosen": 1,
        "offers": [
            {
                "schedule_id": 1,
                "starts_at": "2027-01-15T08:00:00.000Z",
                "duration_s": 3600,
                "periods": [[0, 32.0]],
            }
        ],
    }
