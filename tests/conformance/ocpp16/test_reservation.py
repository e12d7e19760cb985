"""Reservations (10.5)."""

import asyncio
from typing import Any

import pytest

from agent.bench.script import Verdict
from agent.ocpp.wire_time import to_text
from hal.types import Fault
from tests.conformance.ocpp16.script import (
    OTHER_TAG,
    TAG,
    Case,
    Wanted,
    call,
    certify,
    status,
)

GROUP = "FLEET7"
NO_ZERO = {"ReserveConnectorZeroSupported": False}


async def reserve(
    case: Case, connector: int = 1, *, for_s: float = 600.0, tag: str = TAG, **more: Any
) -> str:
    """Ask for a reservation with the number 11, and return the status of the answer."""
    answer = await case.ask(
        "ReserveNow",
        connectorId=connector,
        expiryDate=to_text(case.lab.csms.now_s + for_s),
        idTag=tag,
        reservationId=11,
        **more,
    )
    word: str = answer["status"]
    return word


async def remote(case: Case, tag: str = TAG) -> None:
    answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=tag)
    assert answer == {"status": "Accepted"}


async def foreigner(case: Case) -> None:
    """Let somebody else try, in vain."""
    case.plug()
    case.tap(OTHER_TAG)
    await case.quiet(10)
    assert not case.energized()


def test_tc_046_1_reservation_of_a_connector_local_start() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case) == "Accepted"
        await case.expect(status("Reserved"))
        await foreigner(case)
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        await case.started(reservationId=11)

    certify(steps)


def test_tc_046_2_reservation_of_a_connector_remote_start() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case) == "Accepted"
        await case.expect(status("Reserved"))
        answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=OTHER_TAG)
        assert answer == {"status": "Rejected"}
        case.plug()
        await case.quiet(10)
        await remote(case)
        await case.expect(status("Preparing"))
        await case.started(reservationId=11)

    certify(steps)


def test_tc_047_reservation_expires() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case, for_s=30.0) == "Accepted"
        [reserved] = await case.expect(status("Reserved"))
        [available] = await case.expect(status("Available"))
        assert available.at_s - reserved.at_s == pytest.approx(30, abs=1)
        await case.charging(token=OTHER_TAG)

    certify(steps)


async def _unusable(case: Case, *wanted: Wanted, connector: int, word: str) -> None:
    await case.expect(*wanted)
    assert await reserve(case, connector) == word
    await case.quiet(10)


def test_tc_048_1_reservation_of_a_faulted_connector() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.breaks(Fault.GROUND_FAILURE)
        faulted = status("Faulted", error="GroundFailure")
        await _unusable(case, faulted, connector=1, word="Faulted")

    certify(steps)


def test_tc_048_2_reservation_of_an_occupied_connector() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.plug()
        await _unusable(case, status("Preparing"), connector=1, word="Occupied")

    certify(steps)


def test_tc_048_3_reservation_of_an_unavailable_connector() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.ask("ChangeAvailability", connectorId=1, type="Inoperative")
        await _unusable(case, status("Unavailable"), connector=1, word="Unavailable")

    certify(steps)


def test_tc_048_4_reservation_of_a_connector_rejected() -> None:
    """The station has reservations: what it rejects is a connector that it does not have."""

    async def steps(case: Case) -> None:
        await case.online()
        await _unusable(case, connector=9, word="Rejected")

    certify(steps)


def test_tc_049_reservation_of_the_charge_point() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.ask("ChangeAvailability", connectorId=2, type="Inoperative")
        await case.expect(status("Unavailable", 2))
        assert await reserve(case, 0) == "Accepted"
        await case.expect(status("Reserved", 1))
        case.plug()
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        await case.started(reservationId=11)

    certify(steps)


def test_tc_050_1_reservation_of_the_charge_point_faulted() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        for connector in (1, 2):
            case.breaks(Fault.GROUND_FAILURE, connector)
        told = [status("Faulted", connector, error="GroundFailure") for connector in (1, 2)]
        await _unusable(case, *told, connector=0, word="Faulted")

    certify(steps)


def test_tc_050_2_reservation_of_the_charge_point_occupied() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        for connector in (1, 2):
            case.plug(connector)
        told = [status("Preparing", connector) for connector in (1, 2)]
        await _unusable(case, *told, connector=0, word="Occupied")

    certify(steps)


def test_tc_050_3_reservation_of_the_charge_point_unavailable() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.ask("ChangeAvailability", connectorId=0, type="Inoperative")
        told = [status("Unavailable", connector) for connector in (0, 1, 2)]
        await _unusable(case, *told, connector=0, word="Unavailable")

    certify(steps)


def test_tc_050_4_reservation_of_the_charge_point_rejected() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await _unusable(case, connector=0, word="Rejected")

    certify(steps, settings=NO_ZERO)


def test_tc_051_cancel_reservation() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case) == "Accepted"
        await case.expect(status("Reserved"))
        answer = await case.ask("CancelReservation", reservationId=11)
        assert answer == {"status": "Accepted"}
        await case.expect(status("Available"))
        case.plug()
        await case.expect(status("Preparing"))
        await remote(case, OTHER_TAG)
        await case.started(token=OTHER_TAG, reservationId=None)

    certify(steps)


def test_tc_052_cancel_reservation_rejected() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case) == "Accepted"
        await case.expect(status("Reserved"))
        answer = await case.ask("CancelReservation", reservationId=12)
        assert answer == {"status": "Rejected"}
        await case.quiet(10)

    certify(steps)


def test_tc_053_use_a_reservation_with_the_parent_id_tag() -> None:
    """053_1: locally."""

    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[OTHER_TAG] = Verdict(group=GROUP)
        await case.online()
        assert await reserve(case, parentIdTag=GROUP) == "Accepted"
        await case.expect(status("Reserved"))
        case.plug()
        await asyncio.sleep(1)
        case.tap(OTHER_TAG)
        await case.expect(call("Authorize", idTag=OTHER_TAG), status("Preparing"))
        await case.started(token=OTHER_TAG, reservationId=11)

    certify(steps)


def test_tc_053_2_use_a_reservation_with_the_parent_id_tag_remotely() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[OTHER_TAG] = Verdict(group=GROUP)
        await case.online()
        await case.set(AuthorizeRemoteTxRequests=True)
        assert await reserve(case, parentIdTag=GROUP) == "Accepted"
        await case.expect(status("Reserved"))
        case.plug()
        await asyncio.sleep(1)
        await remote(case, OTHER_TAG)
        await case.expect(call("Authorize", idTag=OTHER_TAG), status("Preparing"))
        await case.started(token=OTHER_TAG, reservationId=11)

    certify(steps)


def test_a_reservation_survives_a_power_cut() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await reserve(case) == "Accepted"
        await case.expect(status("Reserved"))
        await case.power_cycle()
        await case.booted(c1="Reserved")
        case.plug()
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        await case.started(reservationId=11)

    certify(steps)
