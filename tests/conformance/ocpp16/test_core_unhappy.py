"""Core, what goes wrong: refused tokens, locks, power, links, keys, faults (10.2)."""

import asyncio
from itertools import pairwise

import pytest

from agent.bench.script import Verdict
from agent.ocpp.wire_time import from_text
from hal.types import Fault
from tests.conformance.ocpp16.script import (
    OTHER_TAG,
    TAG,
    Case,
    any_of,
    call,
    certify,
    status,
)


def test_tc_023_start_authorize_invalid() -> None:
    """As 023_4 has it: the card comes before the cable, and is refused."""

    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        case.tap()
        await case.expect(call("Authorize", idTag=TAG))
        await case.quiet()
        assert not case.energized()

    assert not certify(steps).bills


def test_tc_023_5_remote_start_authorize_invalid() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await case.online()
        await case.set(AuthorizeRemoteTxRequests=True)
        case.plug()
        await case.expect(status("Preparing"))
        answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=TAG)
        assert answer == {"status": "Accepted"}
        await case.expect(call("Authorize", idTag=TAG))
        await case.quiet()
        assert not case.energized()

    assert not certify(steps).bills


def test_tc_026_remote_start_rejected() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=OTHER_TAG)
        assert answer == {"status": "Rejected"}
        await case.quiet()
        assert case.energized()

    certify(steps)


def test_tc_027_remote_start_connector_zero() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask("RemoteStartTransaction", connectorId=0, idTag=TAG)
        assert answer == {"status": "Rejected"}
        await case.quiet()

    certify(steps)


def test_tc_028_remote_stop_rejected() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        answer = await case.ask("RemoteStopTransaction", transactionId=number + 1)
        assert answer == {"status": "Rejected"}
        await case.quiet()
        assert case.energized()

    certify(steps)


def test_tc_032_2_power_failure_stop_after_boot() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        await asyncio.sleep(60)
        register_wh = case.lab.energy_wh()
        await case.power_cycle()
        assert not case.energized()
        [stop] = await case.booted(
            call("StopTransaction", transactionId=number, reason="PowerLoss"),
            c1=any_of("Preparing", "Finishing"),
        )
        assert stop.payload["meterStop"] == pytest.approx(register_wh, abs=2)
        assert not case.energized()

    certify(steps)


def test_tc_034_power_failure_with_unavailable_status() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask("ChangeAvailability", connectorId=0, type="Inoperative")
        assert answer == {"status": "Accepted"}
        await case.expect(*(status("Unavailable", connector) for connector in (0, 1, 2)))
        await case.power_cycle()
        await case.booted(c0="Unavailable", c1="Unavailable", c2="Unavailable")
        case.tap()
        case.plug()
        await case.quiet()
        assert not case.energized()

    assert not certify(steps).bills


def test_tc_036_connection_loss_during_a_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(MeterValueSampleInterval=10)
        number = await case.charging()
        await asyncio.sleep(15)
        await case.lab.lose_link()
        await asyncio.sleep(60)
        assert case.energized()
        case.lab.restore_link()
        await asyncio.sleep(60)
        told = [
            from_text(values["timestamp"])
            for payload in case.lab.wire.payloads("MeterValues")
            if payload["transactionId"] == number
            for values in payload["meterValue"]
        ]
        assert len(told) >= 12
        assert {after - before for before, after in pairwise(told)} == {10.0}

    certify(steps)


async def _starts_offline(case: Case) -> None:
    """Begin a transaction with a token that only the CSMS could judge."""
    await case.lab.lose_link()
    case.plug()
    case.tap()
    await case.lab.until(case.energized)
    await asyncio.sleep(30)
    case.lab.restore_link()


def test_tc_037_1_offline_start_with_a_valid_tag() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(AllowOfflineTxForUnknownId=True)
        began_at = case.lab.csms.now_s
        await _starts_offline(case)
        [start, _] = await case.expect(
            call("StartTransaction", connectorId=1, idTag=TAG), status("Charging")
        )
        assert from_text(start.payload["timestamp"]) == pytest.approx(began_at, abs=2)
        assert case.energized()

    certify(steps)


def test_tc_037_2_offline_start_with_an_invalid_tag_goes_on_without_energy() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await case.online()
        await case.set(
            AllowOfflineTxForUnknownId=True,
            StopTransactionOnInvalidId=False,
            MaxEnergyOnInvalidId=0,
        )
        await _starts_offline(case)
        await case.expect(call("StartTransaction", idTag=TAG), status("Charging"))
        await case.expect(status("SuspendedEVSE"))
        await case.lab.until(lambda: not case.energized())
        await case.quiet(600)
        assert not case.energized()

    lab = certify(steps)
    assert lab.bills[0].ended_at is None


def test_tc_037_3_offline_start_with_an_invalid_tag_stops() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await case.online()
        await case.set(AllowOfflineTxForUnknownId=True, StopTransactionOnInvalidId=True)
        await _starts_offline(case)
        await case.expect(call("StartTransaction", idTag=TAG), status("Charging"))
        await case.stopped("DeAuthorized")

    certify(steps)


def test_tc_038_offline_stop() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        await case.lab.lose_link()
        await asyncio.sleep(10)
        stopped_at = case.lab.csms.now_s
        case.tap()
        await case.lab.until(lambda: not case.energized())
        await asyncio.sleep(30)
        case.lab.restore_link()
        stop = await case.stopped(any_of("Local", None), idTag=TAG)
        assert from_text(stop.payload["timestamp"]) == pytest.approx(stopped_at, abs=8)

    certify(steps)


def test_tc_039_offline_transaction() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(AllowOfflineTxForUnknownId=True)
        await case.lab.lose_link()
        case.plug()
        case.tap()
        await case.lab.until(case.energized)
        await asyncio.sleep(30)
        case.tap()
        await case.lab.until(lambda: not case.energized())
        case.unplug()
        case.lab.restore_link()
        [start] = await case.expect(call("StartTransaction", connectorId=1, idTag=TAG))
        [stop] = await case.expect(call("StopTransaction", reason=any_of("Local", None)))
        assert stop.payload["transactionId"] == case.number
        assert stop.payload["meterStop"] > start.payload["meterStart"]

    certify(steps)


def test_tc_040_1_change_configuration_of_an_unknown_key() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask("ChangeConfiguration", key="Testing", value="1")
        assert answer == {"status": "NotSupported"}
        read = await case.ask("GetConfiguration", key=["Testing"])
        assert read == {"unknownKey": ["Testing"]}

    certify(steps)


def test_tc_040_2_change_configuration_to_an_invalid_value() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        before = await case.get("MeterValueSampleInterval")
        key = "MeterValueSampleInterval"
        answer = await case.ask("ChangeConfiguration", key=key, value="-1")
        assert answer == {"status": "Rejected"}
        assert await case.get(key) == before

    certify(steps)


def test_tc_041_fault_behaviour() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.breaks(Fault.GROUND_FAILURE)
        await case.expect(status("Faulted", error="GroundFailure"))
        case.plug()
        case.tap()
        await case.quiet()
        answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=TAG)
        assert answer == {"status": "Rejected"}
        await case.quiet()
        assert not case.energized()
        assert case.offer_a() == 0.0

    assert not certify(steps).bills
