"""A small hand-written station for tests of the bench CSMS: it says what a test tells it to."""

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from agent.bench.csms import Csms
from agent.ocppj import frames
from agent.ocppj.rpc import AnswerReceived, CallReceived, ErrorReceived, Rpc
from agent.transport.link import LinkClosed
from agent.transport.memory import pair
from tests.support import schemas

NOON_S = 1_736_164_800.0  # 2025-01-06T12:00:00Z
NOON = "2025-01-06T12:00:00.000Z"
TOKEN = "04AABBCC"


def instant(second: int) -> str:
    return f"2025-01-06T12:00:{second:02}.000Z"


def new_csms(**more: Any) -> Csms:
    """A CSMS whose clock stands at noon at the start of the virtual loop."""
    return Csms(now=lambda: NOON_S + asyncio.get_running_loop().time(), **more)


class Station:
    """Sends calls and waits for answers; answers the CSMS from a table.

    Answers it gets are checked against the official schemas.
    """

    def __init__(self, link: Any) -> None:
        self.link = link
        self.rpc = Rpc(link.subprotocol)
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.received: list[Any] = []
        self.gone: str | None = None
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()

    async def run(self) -> None:
        try:
            while True:
                await self._take(self.rpc.receive(await self.link.receive()))
        except LinkClosed as closed:
            self.gone = str(closed)
            self._changed.set()

    async def _take(self, received: Any) -> None:
        self.received.append(received)
        self._changed.set()
        if isinstance(received, CallReceived):
            payload = msgspec.json.decode(received.payload)
            self.asked.append((received.action, payload))
            answer = self.answers.get(received.action)
            if isinstance(answer, str):
                await self.link.send(frames.error(received.id_json, answer, "no"))
                self.rpc.forget(received)
            elif answer is not None:
                await self.link.send(self.rpc.result(received, msgspec.json.encode(answer)))

    async def send(self, action: str, payload: Any, message_id: str | None = None) -> None:
        """Send a call without waiting."""
        now_s = asyncio.get_running_loop().time()
        name = message_id or f"s{next(self._ids)}"
        frame = self.rpc.call(action, msgspec.json.encode(payload), name, now_s, 30.0)
        await self.link.send(frame)

    async def call(self, action: str, payload: Any, timeout_s: float = 30.0) -> Any:
        """Send a call; return its answer, the code of its refusal, or None."""
        seen = len(self.received)
        await self.send(action, payload)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for one in self.received[seen:]:
                        if isinstance(one, AnswerReceived):
                            self._check(action, one.payload)
                            return msgspec.json.decode(one.payload)
                        if isinstance(one, ErrorReceived):
                            return one.code
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self.rpc.expire(float("inf"))
            return None

    def _check(self, action: str, payload: Any) -> None:
        schemas.validate(self.link.subprotocol, action, bytes(payload), response=True)


@asynccontextmanager
async def connected(csms: Csms, protocol: str, identity: str = "CP001"):
    """A station on a link in memory, served by the CSMS."""
    near, far = pair(protocol)
    station = Station(near)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(csms.attend(identity, far))
        tasks.create_task(station.run())
        await asyncio.sleep(0)
        yield station
        await near.close(1000, "done")


# --- what stations say ---------------------------------------------------------------------


def boot(protocol: str) -> dict[str, Any]:
    if protocol == "ocpp1.6":
        return {"chargePointVendor": "Example", "chargePointModel": "One"}
    station = {"vendorName": "Example", "model": "One", "firmwareVersion": "1.0.0"}
    return {"reason": "PowerUp", "chargingStation": station}


def start16(**changes: Any) -> dict[str, Any]:
    payload = {"connectorId": 1, "idTag": TOKEN, "meterStart": 1000, "timestamp": NOON}
    return {**payload, **changes}


def stop16(number: int, **changes: Any) -> dict[str, Any]:
    payload = {"transactionId": number, "meterStop": 1500, "timestamp": instant(50)}
    return {**payload, "reason": "Local", "idTag": TOKEN, **changes}


def values16(number: int | None, second: int, energy: str, **more: Any) -> dict[str, Any]:
    sampled = [{"value": energy, "context": "Sample.Periodic", **more}]
    payload: dict[str, Any] = {
        "connectorId": 1,
        "meterValue": [{"timestamp": instant(second), "sampledValue": sampled}],
    }
    return payload if number is None else {**payload, "transactionId": number}


def event201(
    kind: str, seq_no: int, energy_wh: float | None = None, **changes: Any
) -> dict[str, Any]:
    contexts = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
    info: dict[str, Any] = {"transactionId": "tx-1", "chargingState": "Charging"}
    if kind == "Ended":
        info["stoppedReason"] = "Local"
    payload: dict[str, Any] = {
        "eventType": kind,
        "timestamp": instant(seq_no),
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": info,
    }
    if kind == "Started":
        payload["evse"] = {"id": 1, "connectorId": 1}
        payload["idToken"] = {"idToken": TOKEN, "type": "ISO14443"}
    if energy_wh is not None:
        sampled = {"value": energy_wh, "context": contexts.get(kind, "Sample.Periodic")}
        payload["meterValue"] = [{"timestamp": instant(seq_no), "sampledValue": [sampled]}]
    return {**payload, **changes}
