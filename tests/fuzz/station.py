"""A running station in any state, a CSMS that may send anything, and what must hold then."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from agent.core import diagnostics, durable, updates
from agent.core.events import InstallerFound, LinkHeld, UpdateWorkEnded
from agent.core.orders import Step
from agent.security.keystore import Keystore
from agent.transport.link import LinkClosed
from hal.sim.vehicle import Vehicle
from hal.types import Fault
from tests.support import schemas
from tests.support.core import TAG
from tests.support.power import directory_in_memory
from tests.support.shell import Talk

V16 = "ocpp1.6"
CALL, RESULT, ERROR = 2, 3, 4
ANSWER_S = 30.0
"""How long any answer may take."""

REFUSALS = frozenset(
    {
        "Failed",
        "Faulted",
        "InvalidCertificate",
        "NotFound",
        "NotImplemented",
        "NotSupported",
        "Occupied",
        "Rejected",
        "Unavailable",
        "Unknown",
        "UnknownMessageId",
        "UnknownVendorId",
        "VersionMismatch",
    }
)
"""Words of answers after which nothing has changed."""

ANSWERS: Mapping[str, Any] = {
    "Authorize": {"idTagInfo": {"status": "Accepted"}},
    "BootNotification": {
        "status": "Accepted",
        "currentTime": "2027-01-15T08:00:00Z",
        "interval": 86_400,
    },
    "DataTransfer": {"status": "Accepted"},
    "Heartbeat": {"currentTime": "2027-01-15T08:00:00Z"},
    "SignCertificate": {"status": "Accepted"},
    "StartTransaction": {"transactionId": 1, "idTagInfo": {"status": "Accepted"}},
}
"""What this CSMS answers; everything else gets an empty payload."""


class Victim(Talk):
    """A station whose calls are all answered, and whom anything may be sent.

    Args:
        boot: how its BootNotification is answered; "": not at all.
    """

    def __init__(self, boot: str = "Accepted", **settings: str) -> None:
        self._keys = directory_in_memory()
        super().__init__(V16, keystore=Keystore(self._keys), **settings)
        self._boot = boot
        self.is_gone = False
        self.sent = 0

    async def __aexit__(self, *error: object) -> None:
        try:
            await super().__aexit__(*error)
        finally:
            shutil.rmtree(self._keys)

    async def throw(self, frame: Any, message_id: Any) -> Any:
        """Send a frame, and return its answer; None when the station restarts instead."""
        self.sent += 1
        try:
            await self.say(frame)
            async with asyncio.timeout(ANSWER_S):
                while True:
                    heard = await self.hear(ANSWER_S)
                    if heard[0] != CALL and heard[1] == message_id:
                        return heard
                    await self.attend(heard)
        except LinkClosed:
            await self.again()
            return None

    async def attend(self, heard: Any) -> None:
        """Answer a call of the station, which fits its schema."""
        assert heard[0] == CALL, f"an answer to nothing: {heard}"
        schemas.validate(V16, heard[2], json.dumps(heard[3]), response=False)
        answer = ANSWERS.get(heard[2], {})
        if heard[2] == "BootNotification":
            if not self._boot:
                return
            answer = {**answer, "status": self._boot}
        await self.answer(heard, answer)

    async def settled(self, for_s: float = 0.01) -> None:
        """Attend to the station until it has nothing more to say."""
        try:
            while True:
                await self.attend(await self.hear(for_s))
        except TimeoutError:
            return
        except LinkClosed:
            await self.again()

    async def again(self) -> None:
        """Take the station's next link, if it does not end."""
        self.is_gone = self._task.done() or self.shell.restart is not None
        if not self.is_gone:
            with suppress(TimeoutError):
                async with asyncio.timeout(600):
                    self.link = await self.dialer.accept()

    def kept(self) -> dict[str, dict[str, bytes]]:
        """Return everything durable but the clock, which goes on by itself."""
        rows = durable.changed({}, durable.rows(self.station))
        found: dict[str, dict[str, bytes]] = {}
        for name, key, raw in rows:
            if name != "boot" and raw is not None:
                found.setdefault(name, {})[key] = raw
        return found


Setup = Callable[[Victim], Awaitable[None]]


async def idle(victim: Victim) -> None:
    """Nothing is plugged in."""


async def plugged(victim: Victim) -> None:
    victim.evse.plug(1, Vehicle())
    await victim.settled(2.0)


async def authorized(victim: Victim) -> None:
    victim.evse.present(TAG)
    await victim.settled(2.0)


async def charging(victim: Victim) -> None:
    await plugged(victim)
    await authorized(victim)
    assert victim.evse.outlet_closed


async def suspended(victim: Victim) -> None:
    await charging(victim)
    victim.evse.set_ready(False)
    await victim.settled(2.0)


async def paused(victim: Victim) -> None:
    """Suspended by the station: a limit of 0."""
    await charging(victim)
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0}],
    }
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": schedule,
    }
    wanted = {"connectorId": 1, "csChargingProfiles": profile}
    await victim.throw([2, "less", "SetChargingProfile", wanted], "less")
    await victim.settled(10.0)
    assert not victim.evse.outlet_closed


async def finishing(victim: Victim) -> None:
    await charging(victim)
    victim.evse.present(TAG)
    await victim.settled(10.0)


async def faulted(victim: Victim) -> None:
    victim.evse.fault(Fault.GROUND_FAILURE)
    await victim.settled(2.0)


async def inoperative(victim: Victim) -> None:
    off = {"connectorId": 0, "type": "Inoperative"}
    await victim.throw([2, "off", "ChangeAvailability", off], "off")
    await victim.settled()


async def reserved(victim: Victim) -> None:
    wanted = {
        "connectorId": 1,
        "idTag": TAG.value,
        "reservationId": 1,
        "expiryDate": "2027-01-15T20:00:00Z",
    }
    await victim.throw([2, "keep", "ReserveNow", wanted], "keep")
    await victim.settled()


async def returning(victim: Victim) -> None:
    """Back online, with a transaction's messages still on their way."""
    await charging(victim)
    victim.post(LinkHeld(held=True))
    await asyncio.sleep(90)
    victim.post(LinkHeld(held=False))
    victim.link = await victim.dialer.accept()


async def updating(victim: Victim) -> None:
    """An image is being fetched."""
    victim.post(InstallerFound("slots", "a"))
    wanted = {"location": "https://files.example/image", "retrieveDate": "2027-01-15T07:00:00Z"}
    await victim.throw([2, "new", "UpdateFirmware", wanted], "new")
    await victim.settled()
    assert updates.work(victim.station.firmware) is not None


async def installing(victim: Victim) -> None:
    """An image is being written; a transaction had to end first."""
    await charging(victim)
    await updating(victim)
    for _ in (Step.DOWNLOAD, Step.VERIFY):
        work = updates.work(victim.station.firmware)
        assert work is not None
        victim.post(UpdateWorkEnded(work))
        await victim.settled(1.0)
    victim.evse.present(TAG)
    await victim.settled(10.0)
    work = updates.work(victim.station.firmware)
    assert work is not None
    assert work.step is Step.INSTALL


async def uploading(victim: Victim) -> None:
    wanted = {"location": "ftp://files.example/logs", "retries": 5}
    await victim.throw([2, "log", "GetDiagnostics", wanted], "log")
    await victim.settled()
    assert diagnostics.work(victim.station.diagnostics) is not None


async def resetting(victim: Victim) -> None:
    """A soft reset waits for the answer to the end of a transaction, which does not come."""
    await charging(victim)
    await victim.throw([2, "off", "Reset", {"type": "Soft"}], "off")


async def charging_without_a_disk(victim: Victim) -> None:
    await charging(victim)
    await without_a_disk(victim)
    await victim.settled(90.0)  # until it has something to write, and ends the charge
    assert not victim.evse.outlet_closed


async def without_a_disk(victim: Victim) -> None:
    victim.disk.refusal = "no space left on device"
    await victim.settled(1.0)


STATES: dict[str, Setup] = {
    state.__name__: state
    for state in (
        idle,
        plugged,
        authorized,
        charging,
        suspended,
        paused,
        finishing,
        faulted,
        inoperative,
        reserved,
        returning,
        updating,
        installing,
        uploading,
        resetting,
        without_a_disk,
        charging_without_a_disk,
    )
}
