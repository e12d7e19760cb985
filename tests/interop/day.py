"""A day in the life of a station with two connectors, for any CSMS of 1.6 to watch.

The CSMS is an independent one that checks every frame against the official schemas; what
the steps here look at is that both sides have understood each other.
"""

from collections.abc import Callable
from typing import Any, Protocol

from tests.interop.station import TAG, Station, word
from tests.transfer.servers import http_server

GUEST = "0BADCAFE"
FOREVER = "2099-12-31T23:59:59Z"


class Csms(Protocol):
    """What a day needs of a CSMS."""

    links: int
    calls: list[tuple[str, dict[str, Any]]]

    def heard(self, action: str) -> list[dict[str, Any]]:
        """Return the payloads of the station's calls of an action, by arrival."""

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds."""

    async def request(self, action: str, /, **payload: Any) -> dict[str, Any]:
        """Ask the station something, and return its answer."""

    async def close(self) -> None:
        """Hang up, and listen no more."""

    async def open(self) -> None:
        """Listen again."""


async def day(csms: Csms, station: Station) -> None:
    """Live the day."""
    await morning(csms, station)
    await two_sessions(csms, station)
    await reservation(csms, station)
    await local_list(csms)
    await profile(csms)
    await triggers(csms)
    await outage(csms, station)
    await logs(csms)
    await reset(csms)


async def accepted(csms: Csms, action: str, /, **payload: Any) -> None:
    answer = await csms.request(action, **payload)
    assert answer["status"] == "Accepted", (action, answer)


async def morning(csms: Csms, station: Station) -> None:
    """Boot, statuses, configuration."""
    await csms.until(lambda: len(csms.heard("StatusNotification")) >= 3)
    await station.until(lambda status: all(evse["meter"] for evse in status["evses"]))
    assert {one["connectorId"] for one in csms.heard("StatusNotification")} == {0, 1, 2}
    every = (await csms.request("GetConfiguration"))["configurationKey"]
    assert len(every) > 20
    await accepted(csms, "ChangeConfiguration", key="MeterValueSampleInterval", value="1")
    read = await csms.request("GetConfiguration", key=["NumberOfConnectors", "Coffee"])
    assert read["configurationKey"][0]["value"] == "2"
    assert read["unknownKey"] == ["Coffee"]


async def two_sessions(csms: Csms, station: Station) -> None:
    """One by a card, one by the CSMS, at the same time."""
    await station.plug(1)
    await station.until(lambda status: word(status) == "Preparing")
    await station.tap(TAG, 1)
    await accepted(csms, "RemoteStartTransaction", connectorId=2, idTag=GUEST)
    await station.plug(2)
    await csms.until(lambda: len(csms.heard("StartTransaction")) == 2)
    starts = csms.heard("StartTransaction")
    assert {one["connectorId"]: one["idTag"] for one in starts} == {1: TAG, 2: GUEST}
    told = await csms.until(lambda: _numbers(csms, 1) and _numbers(csms, 2))
    await accepted(csms, "RemoteStopTransaction", transactionId=told[0])
    await csms.until(lambda: len(csms.heard("StopTransaction")) == 1)
    await station.tap(TAG, 1)
    await csms.until(lambda: len(csms.heard("StopTransaction")) == 2)
    assert [one["reason"] for one in csms.heard("StopTransaction")] == ["Remote", "Local"]
    for evse_id in (1, 2):
        await station.unplug(evse_id)
    await station.until(lambda status: word(status, 1) == word(status, 2) == "Available")


def _numbers(csms: Csms, connector: int) -> list[int]:
    return [
        one["transactionId"]
        for one in csms.heard("MeterValues")
        if one["connectorId"] == connector and "transactionId" in one
    ]


async def reservation(csms: Csms, station: Station) -> None:
    """Keep a connector for somebody, and change one's mind."""
    await accepted(
        csms, "ReserveNow", connectorId=1, expiryDate=FOREVER, idTag=TAG, reservationId=7
    )
    await station.until(lambda status: word(status) == "Reserved")
    busy = await csms.request(
        "ReserveNow", connectorId=1, expiryDate=FOREVER, idTag=GUEST, reservationId=8
    )
    assert busy["status"] == "Occupied"
    await accepted(csms, "CancelReservation", reservationId=7)
    await station.until(lambda status: word(status) == "Available")


async def local_list(csms: Csms) -> None:
    """Send a list, add to it, and ask for its version."""
    entry = {"idTag": TAG, "idTagInfo": {"status": "Accepted", "expiryDate": FOREVER}}
    sent = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [entry]}
    await accepted(csms, "SendLocalList", **sent)
    more = {"listVersion": 2, "updateType": "Differential", "localAuthorizationList": []}
    await accepted(csms, "SendLocalList", **more)
    assert await csms.request("GetLocalListVersion") == {"listVersion": 2}


async def profile(csms: Csms) -> None:
    """Limit a connector, and look at what comes of it."""
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 8.1},
            {"startPeriod": 60, "limit": 16.0, "numberPhases": 3},
        ],
    }
    limit = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    await accepted(csms, "SetChargingProfile", connectorId=1, csChargingProfiles=limit)
    answer = await csms.request("GetCompositeSchedule", connectorId=1, duration=90)
    periods = answer["chargingSchedule"]["chargingSchedulePeriod"]
    assert [float(one["limit"]) for one in periods] == [8.1, 16.0]
    await accepted(csms, "ClearChargingProfile", id=1)


async def triggers(csms: Csms) -> None:
    """Ask for what is told anyway."""
    for message in ("Heartbeat", "MeterValues", "StatusNotification"):
        before = len(csms.heard(message))
        await accepted(csms, "TriggerMessage", requestedMessage=message, connectorId=2)
        await csms.until(lambda: len(csms.heard(message)) > before)  # noqa: B023
    await accepted(csms, "ClearCache")


async def outage(csms: Csms, station: Station) -> None:
    """Charge while the CSMS is away; the list knows the card."""
    links, stops = csms.links, len(csms.heard("StopTransaction"))
    await csms.close()
    await station.until(lambda status: not status["csms"]["connected"])
    await station.plug(1)
    await station.until(lambda status: word(status) == "Preparing")
    await station.tap(TAG, 1)
    await station.until(lambda status: status["evses"][0]["meter"]["energy_import_wh"] > 0)
    await station.until(lambda status: word(status) == "Charging")
    await station.tap(TAG, 1)
    await station.until(lambda status: status["evses"][0]["transaction"] is None)
    await station.unplug(1)
    await csms.open()
    await csms.until(lambda: csms.links > links)
    await csms.until(lambda: len(csms.heard("StopTransaction")) == stops + 1)
    stop = csms.heard("StopTransaction")[-1]
    assert stop["meterStop"] >= csms.heard("StartTransaction")[-1]["meterStart"]


async def logs(csms: Csms) -> None:
    """Have the diagnostics and the security log sent to a server."""
    with http_server() as files:
        location = f"{files.url}/logs"
        told = await csms.request("GetDiagnostics", location=location, retries=0)
        assert told["fileName"].startswith("CP001")
        await csms.until(
            lambda: _statuses(csms, "DiagnosticsStatusNotification")[-1:] == ["Uploaded"]
        )
        assert files.files[f"/logs/{told['fileName']}"]
        asked = {"logType": "SecurityLog", "requestId": 9, "log": {"remoteLocation": location}}
        await accepted(csms, "GetLog", **asked, retries=0)
        await csms.until(lambda: _statuses(csms, "LogStatusNotification")[-1:] == ["Uploaded"])
        assert _statuses(csms, "LogStatusNotification") == ["Uploading", "Uploaded"]


def _statuses(csms: Csms, action: str) -> list[str]:
    return [one["status"] for one in csms.heard(action)]


async def reset(csms: Csms) -> None:
    """Restart, and be there again as before."""
    boots = len(csms.heard("BootNotification"))
    await accepted(csms, "Reset", type="Soft")
    await csms.until(lambda: len(csms.heard("BootNotification")) == boots + 1)
    await csms.until(lambda: _since_boot(csms).count("StatusNotification") == 3)
    assert await csms.request("GetLocalListVersion") == {"listVersion": 2}


def _since_boot(csms: Csms) -> list[str]:
    """Return the actions of the station's calls since it last introduced itself."""
    actions = [action for action, _ in csms.calls]
    return actions[len(actions) - actions[::-1].index("BootNotification") :]
