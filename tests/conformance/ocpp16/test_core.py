"""Core, the happy flow: boots, sessions, cache, resets, configuration, meter values (10.1)."""

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from agent.bench.script import BootAnswer, Verdict
from agent.ocpp.wire_time import from_text
from tests.conformance.ocpp16.script import (
    OTHER_TAG,
    TAG,
    Case,
    any_of,
    call,
    certify,
    status,
)

GROUP = "FLEET7"


def test_tc_001_cold_boot() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.boots = [BootAnswer("Rejected", 15), BootAnswer("Accepted", 20)]
        await case.lab.start()
        [first] = await case.expect(call("BootNotification"))
        [second] = await case.expect(call("BootNotification"))
        assert 15.0 <= second.at_s - first.at_s <= 16.0
        await case.expect(
            status("Available", 0), status("Available", 1), status("Available", 2)
        )
        beats = [(await case.expect(call("Heartbeat")))[0].at_s for _ in range(3)]
        assert [after - before for before, after in pairwise(beats)] == pytest.approx([20, 20])

    certify(steps)


def test_tc_002_cold_boot_pending() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.boots = [BootAnswer("Pending", 15), BootAnswer("Accepted", 20)]
        await case.lab.start()
        [first] = await case.expect(call("BootNotification"))
        every = await case.ask("GetConfiguration")
        assert len(every["configurationKey"]) > 20
        await case.set(MeterValueSampleInterval=7)
        [second] = await case.expect(call("BootNotification"))
        assert 15.0 <= second.at_s - first.at_s <= 16.0
        await case.expect(
            status("Available", 0), status("Available", 1), status("Available", 2)
        )
        [beat] = await case.expect(call("Heartbeat"))
        assert beat.at_s - second.at_s == pytest.approx(20, abs=1)
        assert await case.get("MeterValueSampleInterval") == "7"

    certify(steps)


def test_tc_003_charging_session_plug_in_first() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        assert not case.energized()
        case.tap()
        await case.expect(call("Authorize", idTag=TAG))
        await case.started()
        assert case.offer_a() == 32.0
        assert case.locked()

    certify(steps)


def test_tc_004_1_charging_session_identification_first() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        case.tap()
        await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        case.plug()
        await case.started()

    certify(steps)


def test_tc_004_2_identification_first_connection_timeout() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(ConnectionTimeOut=20)
        case.tap()
        _, preparing = await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        [available] = await case.expect(status("Available"))
        assert available.at_s - preparing.at_s == pytest.approx(20, abs=1)
        assert not case.lab.bills

    certify(steps)


def test_tc_068_stop_with_the_same_id_tag() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()
        case.tap(OTHER_TAG)
        await case.quiet()
        assert case.energized()
        case.tap(TAG)
        await case.stopped("Local", idTag=TAG)
        case.unplug()
        await case.expect(status("Available"))

    certify(steps)


def test_tc_069_stop_with_the_same_parent_id_tag() -> None:
    async def steps(case: Case) -> None:
        case.lab.csms.behaviour.verdicts = {
            TAG: Verdict(group=GROUP),
            OTHER_TAG: Verdict(group=GROUP),
        }
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG))
        await case.started()
        case.tap(OTHER_TAG)
        await case.expect(call("Authorize", idTag=OTHER_TAG))
        await case.stopped("Local", idTag=OTHER_TAG)

    certify(steps)


def test_tc_007_start_with_a_cached_id() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(AuthorizationCacheEnabled=True, LocalPreAuthorize=True)
        await _cached(case)
        case.plug()
        await case.expect(status("Preparing"))
        case.tap(TAG)  # 007_1: locally
        await case.started()
        case.tap(TAG)
        await case.stopped("Local")
        case.unplug()
        await case.expect(status("Available"))
        await case.set(AuthorizeRemoteTxRequests=True)
        await case.charging()  # 007_2: remotely

    lab = certify(steps)
    assert len(lab.wire.calls("Authorize")) == 1


def test_tc_061_clear_cache() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(LocalPreAuthorize=True, ConnectionTimeOut=20)
        await _cached(case)
        case.tap(TAG)
        await case.expect(status("Preparing"))
        case.tap(TAG)
        await case.expect(status("Available"))
        assert await case.ask("ClearCache") == {"status": "Accepted"}
        case.tap(TAG)
        await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
        await case.expect(status("Available"))

    certify(steps)


async def _cached(case: Case) -> None:
    """Let the cache learn of a token."""
    case.tap(TAG)
    await case.expect(call("Authorize", idTag=TAG), status("Preparing"))
    case.tap(TAG)
    await case.expect(status("Available"))


def test_tc_010_remote_start_cable_first() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.charging()

    certify(steps)


@pytest.mark.parametrize("authorizes", [False, True])
def test_tc_011_1_remote_start_first(authorizes: bool) -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(AuthorizeRemoteTxRequests=authorizes)
        await _remote(case, authorizes=authorizes)
        case.plug()
        await case.started()

    certify(steps)


def test_tc_011_2_remote_start_timeout() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(ConnectionTimeOut=20)
        await _remote(case)
        await case.expect(status("Available"), within_s=21)
        case.plug()
        await case.expect(status("Preparing"))
        await case.quiet()
        assert not case.lab.bills

    certify(steps)


async def _remote(case: Case, *, authorizes: bool = False) -> None:
    answer = await case.ask("RemoteStartTransaction", connectorId=1, idTag=TAG)
    assert answer == {"status": "Accepted"}
    asked = [call("Authorize", idTag=TAG)] if authorizes else []
    await case.expect(*asked, status("Preparing"))


def test_tc_012_remote_stop() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        number = await case.charging()
        answer = await case.ask("RemoteStopTransaction", transactionId=number)
        assert answer == {"status": "Accepted"}
        await case.stopped("Remote")
        assert not case.locked()
        case.unplug()
        await case.expect(status("Available"))

    certify(steps)


def test_tc_013_hard_reset_without_a_transaction() -> None:
    certify(partial(_reset_while_idle, kind="Hard"))


def test_tc_014_soft_reset_without_a_transaction() -> None:
    certify(partial(_reset_while_idle, kind="Soft"))


async def _reset_while_idle(case: Case, kind: str) -> None:
    await case.online()
    off = await case.ask("ChangeAvailability", connectorId=1, type="Inoperative")
    assert off == {"status": "Accepted"}
    await case.expect(status("Unavailable"))
    assert await case.ask("Reset", type=kind) == {"status": "Accepted"}
    await case.booted(c1="Unavailable")
    on = await case.ask("ChangeAvailability", connectorId=1, type="Operative")
    assert on == {"status": "Accepted"}
    await case.expect(status("Available"))


def test_tc_015_hard_reset_with_a_transaction() -> None:
    certify(partial(_reset_while_charging, kind="Hard", reason="HardReset"))


def test_tc_016_soft_reset_with_a_transaction() -> None:
    certify(partial(_reset_while_charging, kind="Soft", reason="SoftReset"))


async def _reset_while_charging(case: Case, kind: str, reason: str) -> None:
    await case.online()
    await case.charging()
    assert await case.ask("Reset", type=kind) == {"status": "Accepted"}
    # Nobody can start any more: the station tells so until it has restarted.
    told = [status("Unavailable", connector) for connector in (0, 1, 2)]
    await case.stopped(reason, *told)
    await case.booted(c1=any_of("Preparing", "Finishing"))
    assert not case.energized()


REQUIRED = {
    "AuthorizeRemoteTxRequests": None,  # R or RW
    "ClockAlignedDataInterval": False,
    "ConnectionTimeOut": False,
    "ConnectorPhaseRotation": False,
    "GetConfigurationMaxKeys": True,
    "HeartbeatInterval": False,
    "LocalAuthorizeOffline": False,
    "LocalPreAuthorize": False,
    "MeterValueSampleInterval": False,
    "MeterValuesAlignedData": False,
    "MeterValuesSampledData": False,
    "NumberOfConnectors": True,
    "ResetRetries": False,
    "StopTransactionOnInvalidId": False,
    "StopTxnAlignedData": False,
    "StopTxnSampledData": False,
    "SupportedFeatureProfiles": True,
    "TransactionMessageAttempts": False,
    "TransactionMessageRetryInterval": False,
    "UnlockConnectorOnEVSideDisconnect": None,
}
"""Core keys that must be there, and whether they are read-only (7.1)."""


def test_tc_019_retrieve_configuration() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        single = await case.ask("GetConfiguration", key=["SupportedFeatureProfiles"])
        [entry] = single["configurationKey"]
        assert entry["readonly"]
        assert "Core" in entry["value"].split(",")
        assert not single.get("unknownKey")
        every = await case.ask("GetConfiguration")
        access = {entry["key"]: entry["readonly"] for entry in every["configurationKey"]}
        for key, readonly in REQUIRED.items():
            assert key in access
            assert readonly in {None, access[key]}, key
        assert not every.get("unknownKey")
        most = int(await case.get("GetConfigurationMaxKeys") or 0)
        asked = list(access)[:most]
        many = await case.ask("GetConfiguration", key=asked)
        assert [entry["key"] for entry in many["configurationKey"]] == asked
        assert not many.get("unknownKey")

    certify(steps)


def test_tc_021_change_configuration() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(MeterValueSampleInterval=15)
        assert await case.get("MeterValueSampleInterval") == "15"

    certify(steps)


ALL = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"


@pytest.mark.parametrize("measurands", [ALL, ""])
def test_tc_070_sampled_meter_values(measurands: str) -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(MeterValueSampleInterval=20, MeterValuesSampledData=measurands)
        number = await case.charging()
        told = [await _meter_values(case, transactionId=number) for _ in range(3)]
        _spaced(told, 20.0)
        for values in told:
            _contents(values, "Sample.Periodic", measurands)

    certify(steps)


@pytest.mark.parametrize("measurands", [ALL, ""])
def test_tc_071_clock_aligned_meter_values(measurands: str) -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await case.set(
            MeterValueSampleInterval=0,
            ClockAlignedDataInterval=20,
            MeterValuesAlignedData=measurands,
        )
        number = await case.charging()
        told = [await _meter_values(case, transactionId=number) for _ in range(3)]
        _spaced(told, 20.0)
        for values in told:
            assert from_text(values["timestamp"]) % 20.0 == 0.0
            _contents(values, "Sample.Clock", measurands)

    certify(steps)


async def _meter_values(case: Case, **members: Any) -> dict[str, Any]:
    while True:
        [frame] = await case.expect(call("MeterValues"))
        if frame.payload["connectorId"] == 1 and "transactionId" in frame.payload:
            break
    assert members.items() <= frame.payload.items()
    [values] = frame.payload["meterValue"]
    found: dict[str, Any] = values
    return found


def _spaced(told: list[dict[str, Any]], interval_s: float) -> None:
    instants = [from_text(values["timestamp"]) for values in told]
    assert [after - before for before, after in pairwise(instants)] == [interval_s] * 2


def _contents(values: dict[str, Any], context: str, measurands: str) -> None:
    sampled = values["sampledValue"]
    assert {one["context"] for one in sampled} == {context}
    wanted = set((measurands or "Energy.Active.Import.Register").split(","))
    assert {one["measurand"] for one in sampled} == wanted


def test_the_station_says_nothing_by_itself_when_it_is_idle() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        await asyncio.sleep(3600)

    certify(steps)
