"""The control socket: the one door for people and programs on the charger.

JSON-RPC 2.0, one object per line each way, many requests per connection (contract, section
5). It turns requests into the same events that everything else sends to the kernel, and
never touches state. The socket's mode lets the group of its owner in and nobody else.

Every client has a task of its own, and what goes wrong there ends there. A request without
an id is a notification: it is executed and not answered.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from agent.core.effects import (
    CompositeAnswer,
    DataAnswer,
    Done,
    Effect,
    Note,
    Outcome,
    SettingsAnswer,
    SettingStatus,
    Verdict,
)
from agent.core.events import (
    DataTransferRequested,
    Event,
    LinkHeld,
    MeterRead,
    Origin,
    SecurityEventRaised,
    SettingsWriteRequested,
    TokenPresented,
)
from agent.core.station import Station
from agent.core.variables import Settings, Variable
from agent.diagnostics import masking
from agent.diagnostics.job import Unwritten, Written
from agent.runtime.control_limits import LimitClearParams, LimitSetParams
from agent.runtime.control_params import (
    AvailabilityParams,
    BundleParams,
    DataParams,
    NameParams,
    NoParams,
    ResetParams,
    SecurityParams,
    SetParams,
    TokenParams,
)
from agent.runtime.control_schedule import ScheduleParams, told
from agent.runtime.control_vehicle import VEHICLE, NegotiateParams
from agent.runtime.kernel import Kernel
from agent.runtime.negotiating import Vehicles
from agent.runtime.requests import Requests
from agent.runtime.settings_view import allowed, described
from hal.errors import HalError
from hal.types import IdToken

logger = logging.getLogger(__name__)

LONGEST_LINE: Final = 65_536
MOST_CLIENTS: Final = 16
MOST_UNREAD: Final = 1_048_576
"""Bytes that may wait for a slow reader of events; then its connection ends."""

ANSWER_S: Final = 60.0
"""How long a request may take; vendor data waits for the CSMS."""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR = -32603
REFUSED = -32000
"""The request was understood and refused; the message says why."""


class ControlError(Exception):
    """A request cannot be served.

    Attributes:
        code: of JSON-RPC 2.0.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Simulator(Protocol):
    """The hand that moves a simulated board."""

    async def call(self, method: str, params: dict[str, object]) -> object:
        """Do what a bench asks for."""


class _Request(msgspec.Struct):
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | int | UnsetType | None = UNSET
    jsonrpc: str = "2.0"


_Asking = AvailabilityParams | ResetParams | LimitSetParams | LimitClearParams | ScheduleParams
"""Parameters of what is asked of the core, and answered at once."""

T = TypeVar("T")

Method = Callable[[Any], Awaitable[object]]
Encode = Callable[[Station], dict[str, Any]]
Clock = Callable[[Station], str | None]


class ControlServer:
    """Serves the socket; one task per client."""

    def __init__(
        self,
        kernel: Kernel,
        requests: Requests,
        snapshot: Encode,
        clock: Clock,
        simulator: Simulator | None,
    ) -> None:
        """Prepare to serve.

        Args:
            snapshot: gives the status of a station.
            clock: gives the present time as the station knows it, as text.
        """
        self._kernel, self._requests = kernel, requests
        self._snapshot, self._clock, self._simulator = snapshot, clock, simulator
        self._vehicles = Vehicles(kernel)
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._clients = 0
        self.bundle: Callable[[Path], Awaitable[Written | Unwritten]] | None = None
        self._methods: dict[str, tuple[type, Method]] = {
            "status": (NoParams, self._status),
            "settings.list": (NoParams, self._settings_list),
            "settings.get": (NameParams, self._settings_get),
            "settings.set": (SetParams, self._settings_set),
            "csms.disconnect": (NoParams, self._csms_disconnect),
            "csms.connect": (NoParams, self._csms_connect),
            "token.present": (TokenParams, self._token_present),
            "availability.set": (AvailabilityParams, self._requested),
            "security.event": (SecurityParams, self._security_event),
            "data_transfer.send": (DataParams, self._data_transfer_send),
            "station.reset": (ResetParams, self._requested),
            "log.bundle": (BundleParams, self._log_bundle),
            "limit.set": (LimitSetParams, self._requested),
            "limit.clear": (LimitClearParams, self._requested),
            "schedule.get": (ScheduleParams, self._requested),
        }

    async def run(self, path: Path) -> None:
        """Serve until cancelled.

        Raises:
            OSError: the socket cannot be made.
        """
        async with asyncio.TaskGroup() as clients:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                serving = clients.create_task(self._client(reader, writer))
                # Also when the end comes before it has begun.
                serving.add_done_callback(lambda _: writer.close())

            server = await asyncio.start_unix_server(connected, path, limit=LONGEST_LINE)
            self._kernel.observers.append(self._observed)
            try:
                _let_group_in(path)
                await asyncio.get_running_loop().create_future()  # until cancelled
            finally:
                self._kernel.observers.remove(self._observed)
                server.close()
                _removed(path)

    def facts(self) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
        """Return status and settings, as they are shown to everybody."""
        station = self._kernel.station
        settings = tuple(described(station.settings, item) for item in station.settings.table)
        return self._snapshot(station), settings

    # --- clients ---

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients > MOST_CLIENTS:
                reason = f"{MOST_CLIENTS} clients are connected already"
                writer.write(_failed(REFUSED, reason))
            else:
                await self._served(reader, writer)
        except ConnectionError as error:
            logger.info("control client gone: %s", error)
        finally:
            self._clients -= 1
            self._subscribers.discard(writer)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                reason = f"a line has at most {LONGEST_LINE} bytes"
                writer.write(_failed(INVALID_REQUEST, reason))
                return
            if not line:
                return
            if line.strip():
                writer.write(await self._answered(line, writer))
                await writer.drain()

    async def _answered(self, line: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Return the line that answers a request, empty for a notification."""
        request_id: str | int | UnsetType | None = None
        answer: dict[str, object]
        try:
            request = _request(line)
            request_id = request.id
            async with asyncio.timeout(ANSWER_S):
                answer = {"result": await self._called(request, writer)}
        except ControlError as error:
            answer = _error(error.code, str(error))
        except TimeoutError:
            answer = _error(REFUSED, "no answer in time")
        except Exception:
            logger.exception("defect in the control socket")
            answer = _error(INTERNAL_ERROR, "internal error, see the log")
        return b"" if request_id is UNSET else _line({"id": request_id, **answer})

    async def _called(self, request: _Request, writer: asyncio.StreamWriter) -> object:
        if request.method == "events":
            _decoded(request.params, NoParams)
            self._subscribers.add(writer)
            return True
        if request.method.startswith("sim."):
            return await self._moved(request)
        if request.method not in self._methods:
            known = ", ".join([*self._methods, "events", "sim.*"])
            raise ControlError(METHOD_NOT_FOUND, f"{request.method!r}: known are {known}")
        kind, method = self._methods[request.method]
        return await method(_decoded(request.params, kind))

    async def _moved(self, request: _Request) -> object:
        if self._simulator is None:
            raise ControlError(METHOD_NOT_FOUND, "the board is not a simulated one")
        if request.method in VEHICLE:
            vehicle = _decoded(request.params, VEHICLE[request.method])
            if isinstance(vehicle, NegotiateParams):
                self._vehicles.play(vehicle.event())
            else:
                self._kernel.post(vehicle.event())
            return True
        params: dict[str, object] = _decoded(request.params, dict[str, Any])
        try:
            return await self._simulator.call(request.method, params)
        except HalError as error:
            raise ControlError(REFUSED, str(error)) from None

    # --- methods ---

    async def _status(self, _: NoParams) -> object:
        return self._snapshot(self._kernel.station)

    async def _settings_list(self, _: NoParams) -> object:
        settings = self._kernel.station.settings
        return [described(settings, variable) for variable in settings.table]

    async def _settings_get(self, params: NameParams) -> object:
        settings = self._kernel.station.settings
        return described(settings, _variable(settings, params.name))

    async def _settings_set(self, params: SetParams) -> object:
        variable = _variable(self._kernel.station.settings, params.name)
        value = params.value
        text = str(value).lower() if isinstance(value, bool) else str(value)
        outcome = await self.asked(
            lambda request_id: SettingsWriteRequested(
                request_id, ((variable.name, text),), Origin.LOCAL
            )
        )
        if not isinstance(outcome, SettingsAnswer):
            return _verdict(outcome)
        (result,) = outcome.results
        if result.status in {SettingStatus.REJECTED, SettingStatus.UNKNOWN}:
            raise ControlError(REFUSED, f"{result.reason}: {allowed(variable)}")
        return described(self._kernel.station.settings, variable)

    async def _csms_disconnect(self, _: NoParams) -> object:
        self._kernel.post(LinkHeld(held=True))
        return True

    async def _csms_connect(self, _: NoParams) -> object:
        self._kernel.post(LinkHeld(held=False))
        return True

    async def _token_present(self, params: TokenParams) -> object:
        known = self._kernel.station.evses
        if params.evse_id is not None and params.evse_id not in known:
            there = ", ".join(map(str, known))
            raise ControlError(INVALID_PARAMS, f"evse_id {params.evse_id}: there is {there}")
        token = IdToken(params.id_token, params.type)
        self._kernel.post(TokenPresented(token, params.evse_id))
        return True

    async def _requested(self, params: _Asking) -> object:
        return _verdict(await self.asked(params.event))

    async def _security_event(self, params: SecurityParams) -> object:
        self._kernel.post(SecurityEventRaised(params.type, params.tech_info))
        return True

    async def _log_bundle(self, params: BundleParams) -> object:
        if self.bundle is None:
            raise ControlError(REFUSED, "this agent writes no bundles")
        said = await self.bundle(Path(params.path))
        if isinstance(said, Unwritten):
            raise ControlError(REFUSED, said.info)
        return {"path": params.path, "size": said.size}

    async def _data_transfer_send(self, params: DataParams) -> object:
        outcome = await self.asked(
            lambda request_id: DataTransferRequested(
                request_id, params.vendor_id, params.message_id, params.data
            )
        )
        if isinstance(outcome, DataAnswer):
            return {"status": outcome.status, "data": outcome.data}
        return _verdict(outcome)

    async def asked(self, event: Callable[[int], Event]) -> Outcome:
        """Have a request answered by the core; `event` makes it with its id."""
        request_id, answer = self._requests.awaited()
        try:
            self._kernel.post(event(request_id))
            return await answer
        finally:
            self._requests.forgotten(request_id)

    # --- events ---

    def wire(self, direction: str, frame: str | bytes) -> None:
        """Show a frame of the CSMS link to the subscribers."""
        if self._subscribers:
            shown: dict[str, object] = {"frame": masking.frame(frame)}
            self._notified(self._kernel.station, f"message.{direction}", shown)

    def _observed(
        self, before: Station, batch: Sequence[Event], after: Station, effects: Sequence[Effect]
    ) -> None:
        if not self._subscribers:
            return
        for event in batch:
            if not isinstance(event, MeterRead):
                kind = type(event).__name__
                self._notified(after, kind, {"event": masking.event(event)})
        for effect in effects:
            if isinstance(effect, Note):
                facts: dict[str, object] = {"text": effect.text, "evse_id": effect.evse_id}
                self._notified(after, effect.kind, facts)
        if before is not after:
            for change in _changes(self._snapshot(before), self._snapshot(after)):
                self._notified(after, "state", change)

    def _notified(self, station: Station, kind: str, facts: dict[str, object]) -> None:
        params = {"at": self._clock(station), "kind": kind, **facts}
        line = _line({"method": "event", "params": params})
        for writer in list(self._subscribers):
            if writer.transport.get_write_buffer_size() > MOST_UNREAD:
                self._subscribers.discard(writer)
                writer.transport.abort()
                logger.warning("a reader of events was too slow, its connection is closed")
            else:
                writer.write(line)


def _let_group_in(path: Path) -> None:
    path.chmod(0o660)


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)


def _request(line: bytes) -> _Request:
    try:
        return msgspec.json.decode(line, type=_Request)
    except msgspec.ValidationError as error:
        raise ControlError(INVALID_REQUEST, str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ControlError(PARSE_ERROR, str(error)) from None


def _decoded(params: msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(params, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ControlError(INVALID_PARAMS, str(error)) from None


def _line(message: dict[str, object]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", **message}) + b"\n"


def _failed(code: int, message: str) -> bytes:
    """Return the line for whoever has not asked, or not understandably."""
    return _line({"id": None, **_error(code, message)})


def _error(code: int, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def _variable(settings: Settings, name: str) -> Variable:
    variable = settings.find(name)
    if variable is None:
        raise ControlError(REFUSED, f"{name!r} is no setting; settings.list names them all")
    return variable


def _verdict(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, CompositeAnswer):
        return told(outcome)
    if not isinstance(outcome, Done):
        raise ControlError(REFUSED, "unexpected outcome")
    if outcome.verdict in {Verdict.ACCEPTED, Verdict.SCHEDULED}:
        return {"status": outcome.verdict.value}
    reason = outcome.info or outcome.reason or outcome.verdict.value
    raise ControlError(REFUSED, reason)


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, object]]:
    """Return what differs between two snapshots, but for the clock and the meter."""
    found: list[dict[str, object]] = [
        {"what": name, "value": after[name]}
        for name in ("csms", "storage")
        if before[name] != after[name]
    ]
    for old, new in zip(before["evses"], after["evses"], strict=True):
        changed = {
            name: new[name]
            for name in ("pilot", "energized", "setpoint_a", "limits", "faults", "connectors")
            if old[name] != new[name]
        }
        if (old["transaction"] is None) is not (new["transaction"] is None):
            changed["transaction"] = new["transaction"]
        if changed:
            found.append({"what": "evse", "evse_id": new["evse_id"], **changed})
    return found
