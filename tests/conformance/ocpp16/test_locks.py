"""Core, the plug in the socket: EV side disconnect, unlock, locks that jam (10.1, 10.2).

A fixed cable has no lock; where the tool has a case for either kind of station, both are
lived here.
"""

import pytest

from agent.bench.script import Verdict
from tests.conformance.ocpp16.script import (
    IDENTITY,
    OTHER_TAG,
    TAG,
    Case,
    any_of,
    call,
    certify,
    status,
)

KEYS = ("StopTransactionOnEVSideDisconnect", "UnlockConnectorOnEVSideDisconnect")


async def charging(case: Case, *, stops: bool, unlocks: bool) -> None:
    await case.online()
    await case.set(**dict(zip(KEYS, (stops, unlocks), strict=True)))
    await case.charging()
    assert case.locked()


def leaves(case: Case) -> None:
    """Pull the cable out of the vehicle; it stays in the socket."""
    case.lab.evse().unplug(leaves_cable=True)


async def unlock(case: Case, connector: int = 1) -> str:
    answer = await case.ask("UnlockConnector", connectorId=connector)
    word: str = answer["status"]
    return word


def test_tc_005_1_ev_side_disconnect_stops_and_unlocks() -> None:
    async def steps(case: Case) -> None:
        await charging(case, stops=True, unlocks=True)
        leaves(case)
        await case.stopped("EVDisconnected")
        assert not case.locked()
        case.unplug()
        await case.expect(status("Available"))

    certify(steps)


def test_tc_005_2_ev_side_disconnect_stops_and_stays_locked() -> None:
    async def steps(case: Case) -> None:
        await charging(case, stops=True, unlocks=False)
        leaves(case)
        await case.stopped("EVDisconnected")
        await case.quiet(600)
        assert case.locked()
        assert await unlock(case) == "Unlocked"
        assert not case.locked()
        case.unplug()
        await case.expect(status("Available"))

    certify(steps)


def test_tc_005_3_ev_side_disconnect_does_not_stop() -> None:
    async def steps(case: Case) -> None:
        await charging(case, stops=False, unlocks=True)
        leaves(case)
        await case.expect(status("SuspendedEV", info="EV side disconnected"))
        await case.quiet()
        assert not case.energized()
        assert case.locked()
        answer = await case.ask("RemoteStopTransaction", transactionId=case.number)
        assert answer == {"status": "Accepted"}
        await case.stopped("Remote")
        assert not case.locked()

    certify(steps)


def test_tc_017_1_unlock_without_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await unlock(case) == "Unlocked"
        await case.quiet()

    certify(steps)


def test_tc_017_2_unlock_of_a_fixed_cable_without_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await unlock(case) == "NotSupported"
        await case.quiet()

    certify(steps, is_tethered=True)


def test_tc_018_1_unlock_with_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        assert await unlock(case) == "Unlocked"
        assert not case.locked()
        await case.stopped("UnlockCommand")
        case.unplug()
        await case.expect(status("Available"))

    certify(steps)


def test_an_unlock_that_a_full_disk_refuses_is_answered_at_once() -> None:
    """Its answer would have come with the outcome; the transaction it ends cannot be closed."""

    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        case.lab.disk.refusal = "no space left on device"
        begun_s = case.lab.now_s
        assert await case.refused("UnlockConnector", connectorId=1) == "InternalError"
        assert case.lab.now_s - begun_s < 1.0
        assert case.locked()
        broken = [status("Faulted", number, error="InternalError") for number in (0, 1, 2)]
        await case.expect(*broken)
        case.lab.disk.refusal = None
        free = [status("Available", number) for number in (0, 2)]
        *_, paused = await case.expect(*free, status("SuspendedEVSE"))
        assert "storage" not in paused.text
        await case.expect(status("Charging"))
        assert await unlock(case) == "Unlocked"
        await case.stopped("UnlockCommand")

    certify(steps)


def test_tc_018_2_unlock_of_a_fixed_cable_with_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        assert await unlock(case) == "NotSupported"
        await case.quiet()
        assert case.energized()

    certify(steps, is_tethered=True)


def test_tc_030_unlock_failure() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        case.lab.evse().set("lock_jam", 1.0)
        case.tap()
        await case.stopped("Local")
        answer = await case.lab.csms.request(IDENTITY, "UnlockConnector", {"connectorId": 1})
        assert answer == {"status": "UnlockFailed"}
        await case.expect(status("Finishing", error="ConnectorLockFailure"))

    certify(steps)


@pytest.mark.parametrize("connector", [0, 9])
def test_tc_031_unlock_of_an_unknown_connector(connector: int) -> None:
    async def steps(case: Case) -> None:
        await case.online()
        assert await unlock(case, connector) == "NotSupported"

    certify(steps)


def test_tc_024_start_charging_session_lock_failure() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.lab.evse().set("lock_jam", 1.0)  # the plug is half in
        answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=TAG)
        assert answer == {"status": "Accepted"}
        await case.expect(status("Preparing"))
        case.plug()
        await case.expect(status("Faulted", error="ConnectorLockFailure"))
        await case.quiet()
        assert not case.energized()
        case.unplug()
        await case.expect(status(any_of("Available", "Preparing")))

    assert not certify(steps).bills


def test_a_plug_stays_locked_after_its_token_was_refused_until_the_owner_comes() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Blocked")
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        case.tap()
        await case.expect(call("Authorize", idTag=TAG))
        await case.expect(call("StartTransaction", idTag=TAG))
        await case.stopped("DeAuthorized")
        await case.quiet(60)
        assert case.locked()
        case.tap(OTHER_TAG)
        await case.quiet(10)
        assert case.locked()
        case.tap(TAG)
        await case.lab.until(lambda: not case.locked())

    certify(steps)
