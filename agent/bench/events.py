"""What happens at the bench CSMS, as values: for lines a person reads, and as JSON lines.

Every event has `kind` (its class), `at_s` (UTC seconds since 1970 on the CSMS's clock) and
`identity` (the station, as its URL names it).
"""

from typing import Any, TypeAlias

from hal.types import Value


class _Event(Value, frozen=True, kw_only=True, tag_field="kind", tag=True):
    at_s: float
    identity: str


class StationConnected(_Event, frozen=True, kw_only=True):
    """A link is there."""

    protocol: str


class StationDisconnected(_Event, frozen=True, kw_only=True):
    """It is gone."""

    reason: str


class ConnectionRefused(_Event, frozen=True, kw_only=True):
    """A handshake failed."""

    reason: str


class StationBooted(_Event, frozen=True, kw_only=True):
    """A BootNotification was answered with `status`."""

    vendor: str
    model: str
    status: str
    firmware_version: str | None = None
    reason: str | None = None


class StatusTold(_Event, frozen=True, kw_only=True):
    """A connector status; `evse_id` is None in 1.6."""

    connector_id: int
    status: str
    evse_id: int | None = None
    error: str | None = None


class TokenJudged(_Event, frozen=True, kw_only=True):
    """A token asked for authorization and got `status`."""

    id_token: str
    status: str


class TransactionTold(_Event, frozen=True, kw_only=True):
    """A transaction began, went on or ended.

    Attributes:
        phase: "started", "updated" or "ended".
        trigger: why it was told; None in 1.6.
        energy_wh: of the bill so far; None when it cannot be told yet.
        reason: why it ended.
        is_repeated: everything in it was known.
    """

    transaction_id: str
    phase: str
    id_token: str | None = None
    trigger: str | None = None
    energy_wh: float | None = None
    power_w: float | None = None
    reason: str | None = None
    is_repeated: bool = False


class HeartbeatReceived(_Event, frozen=True, kw_only=True):
    """The station lives."""


class MessageReceived(_Event, frozen=True, kw_only=True):
    """Any other message."""

    action: str
    payload: Any


class CommandAnswered(_Event, frozen=True, kw_only=True):
    """The station answered a request of ours; a refusal has `code` instead of a payload."""

    action: str
    payload: Any = None
    code: str | None = None


class ViolationFound(_Event, frozen=True, kw_only=True):
    """The station did what it must not.

    Attributes:
        action: of the message, "" when it had none.
        code: with which the message was refused; None when it was answered all the same.
    """

    action: str
    description: str
    code: str | None = None


BenchEvent: TypeAlias = (
    StationConnected
    | StationDisconnected
    | ConnectionRefused
    | StationBooted
    | StatusTold
    | TokenJudged
    | TransactionTold
    | HeartbeatReceived
    | MessageReceived
    | CommandAnswered
    | ViolationFound
)
