"""What the simulated board and its drivers say to each other: JSON-RPC 2.0, one line each.

Requests and their parameters are Structs that refuse unknown members. Methods:

    sim.*                            what a bench does (contract.md, section 5)
    evse.run     {evse_id}           make safe, then send this EVSE's levels and changes here
    evse.offer   {evse_id, limit_a, valid_s}
    evse.energize {evse_id, closed}
    evse.lock    {evse_id, locked}
    evse.switch  {evse_id, phases}
    evse.test    {evse_id}           whether the residual current device tripped on its test
    evse.show    {evse_id, light}
    reader.run   {evse_id}           send the tokens that this EVSE's reader reads here
    board.meters {}                  TCP port of each meter, by EVSE

Reports go the other way as notifications named `report`. Whether a fault is there is a
level: `Faults` always carries all of them.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from hal.sim.vehicle import Vehicle
from hal.types import EvseCapabilities, Fault, IdToken, Light, PilotState, TokenType, Value

MAX_LINE = 65_536
"""Longest line in bytes, its end included."""

PARSE_ERROR = -32_700
INVALID_REQUEST = -32_600
UNKNOWN_METHOD = -32_601
INVALID_PARAMS = -32_602
REFUSED = -32_000
SILENT = -32_001
"""Error codes: JSON-RPC 2.0's own, then a refused request and a device without an answer."""

EvseId: TypeAlias = Annotated[int, Meta(ge=1)]
ConnectorId: TypeAlias = Annotated[int, Meta(ge=1)]
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class Params(Value, frozen=True, forbid_unknown_fields=True):
    """Base of all parameters."""


class Meters(Params, frozen=True):
    """Parameters of `board.meters`."""


class OfEvse(Params, frozen=True):
    """Parameters that name an EVSE."""

    evse_id: EvseId


class RunEvse(OfEvse, frozen=True):
    """Parameters of `evse.run`."""


class RunReader(OfEvse, frozen=True):
    """Parameters of `reader.run`."""


class RunInput(Params, frozen=True):
    """Parameters of `input.run`; the input belongs to the whole board, EVSE 0."""

    evse_id: Literal[0] = 0


class Offer(OfEvse, frozen=True):
    """Parameters of `evse.offer`; see `EvseController.offer`."""

    limit_a: float
    valid_s: float


class Energize(OfEvse, frozen=True):
    """Parameters of `evse.energize`."""

    closed: bool


class Lock(OfEvse, frozen=True):
    """Parameters of `evse.lock`."""

    locked: bool


class Switch(OfEvse, frozen=True):
    """Parameters of `evse.switch`; see `PhaseSwitch.switch`."""

    phases: Literal[1, 3]


class Test(OfEvse, frozen=True):
    """Parameters of `evse.test`; see `ResidualCurrent.self_test`."""


class Show(OfEvse, frozen=True):
    """Parameters of `evse.show`; see `Indicator.show`."""

    light: Light


class Plug(OfEvse, frozen=True):
    """Parameters of `sim.plug`."""

    connector_id: ConnectorId = 1
    vehicle: Vehicle = Vehicle()


class Unplug(OfEvse, frozen=True):
    """Parameters of `sim.unplug`.

    Attributes:
        leaves_cable: unplug at the vehicle; the cable stays in the socket.
    """

    connector_id: ConnectorId = 1
    leaves_cable: bool = False


class Ready(OfEvse, frozen=True):
    """Parameters of `sim.ready`."""

    ready: bool


class Token(Params, frozen=True):
    """Parameters of `sim.token`; without an EVSE, the first one's reader reads it."""

    id_token: Annotated[str, Meta(min_length=1, max_length=36)]
    type: TokenType = TokenType.ISO14443
    evse_id: EvseId | None = None


class Break(OfEvse, frozen=True):
    """Parameters of `sim.fault`."""

    fault: Fault
    info: Text = "simulated"


class Mend(OfEvse, frozen=True):
    """Parameters of `sim.clear`."""

    fault: Fault


class Set(Params, frozen=True):
    """Parameters of `sim.set`.

    Attributes:
        device: `evse-1` for a signal of the EVSE, `meter-1` for a point of its meter's map,
            `grid` for the grid operator's input, whose only point is `input`, 0 or 1.
        point: one of the device's.
        value: None lets go of what was set before.
    """

    device: Text
    point: Text
    value: float | None


class Bus(Params, frozen=True):
    """Parameters of `sim.bus`: a port by its name in the board file."""

    port: Text
    state: Literal["up", "down", "garbage", "slow"]


METHODS: dict[str, type[Params]] = {
    "sim.plug": Plug,
    "sim.unplug": Unplug,
    "sim.ready": Ready,
    "sim.token": Token,
    "sim.fault": Break,
    "sim.clear": Mend,
    "sim.set": Set,
    "sim.bus": Bus,
    "evse.run": RunEvse,
    "evse.offer": Offer,
    "evse.energize": Energize,
    "evse.lock": Lock,
    "evse.switch": Switch,
    "evse.test": Test,
    "evse.show": Show,
    "reader.run": RunReader,
    "input.run": RunInput,
    "board.meters": Meters,
}
"""Every method and what its parameters must be."""


class Request(Value, frozen=True):
    """A request of a client."""

    method: Text
    id: int | Annotated[str, Meta(max_length=255)] | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    jsonrpc: Literal["2.0"] = "2.0"


class Failure(Value, frozen=True):
    """Why a request was not done."""

    code: int
    message: str


class Answer(Value, frozen=True):
    """The answer to a request: a result or an error."""

    id: int | str | None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | msgspec.UnsetType = msgspec.UNSET
    jsonrpc: Literal["2.0"] = "2.0"


def failed(request_id: int | str | None, code: int, message: str) -> Answer:
    """Return the answer to a request that was not done."""
    return Answer(request_id, error=Failure(code, message))


class Pilot(Value, frozen=True, tag="pilot", tag_field="kind"):
    """The settled pilot state, and of which connector."""

    pilot: PilotState
    connector_id: int


class Outlet(Value, frozen=True, tag="outlet", tag_field="kind"):
    """What the mirror contact shows."""

    closed: bool


class Locked(Value, frozen=True, tag="lock", tag_field="kind"):
    """What the plug's lock says of itself."""

    locked: bool


class Cable(Value, frozen=True, tag="cable", tag_field="kind"):
    """The cable's rating in A, or None."""

    ampacity_a: float | None


class Temperature(Value, frozen=True, tag="temperature", tag_field="kind"):
    """What the hottest sensor shows."""

    temperature_c: float


class Input(Value, frozen=True, tag="input", tag_field="kind"):
    """Whether the grid operator's input is active."""

    active: bool


class Faults(Value, frozen=True, tag="faults", tag_field="kind"):
    """Everything that is broken now, with a text for people."""

    faults: dict[Fault, str]


class Detected(Value, frozen=True, tag="detected", tag_field="kind"):
    """What the hardware can do."""

    capabilities: EvseCapabilities


class Presented(Value, frozen=True, tag="token", tag_field="kind"):
    """One tap of a token."""

    id_token: IdToken


Report: TypeAlias = (
    Pilot | Outlet | Locked | Cable | Temperature | Input | Faults | Detected | Presented
)


class Reported(Value, frozen=True):
    """Parameters of the notification `report`."""

    evse_id: int
    report: Report


class Notification(Value, frozen=True):
    """What the board says unasked."""

    params: Reported
    method: Literal["report"] = "report"
    jsonrpc: Literal["2.0"] = "2.0"


class Incoming(Value, frozen=True):
    """Any line that a client receives: an answer when it has an id, else a report."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Failure | None = None
    params: Reported | None = None
