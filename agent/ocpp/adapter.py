"""The contract of a protocol version: pure functions between wire payloads and the domain.

An adapter keeps no state. What it must know of the station it reads from a `View`. What a
version cannot say is `None`; what it cannot take is an `RpcError` with the code to answer.
"""

from abc import abstractmethod
from typing import Protocol

import msgspec

from agent.core.effects import Delivery, Message, Outcome, Record
from agent.core.events import Event, Request
from agent.core.values import EvseSpec, RegistrationStatus, Stamp, StationInfo, Value
from agent.core.variables import Settings

__all__ = ["Adapter", "Answered", "Call", "Delivery", "Incoming", "View"]


class View(Protocol):
    """What adapters read of the station."""

    @property
    def info(self) -> StationInfo:
        """Who the station is."""

    @property
    def specs(self) -> tuple[EvseSpec, ...]:
        """Its EVSEs, by id."""

    @property
    def settings(self) -> Settings:
        """Values in force."""

    def told_s(self, stamp: Stamp) -> float:
        """Return the wall time to tell for an instant, UTC seconds."""

    def delivery(self, transaction_id: str) -> Delivery | None:
        """Return how far the CSMS knows a transaction."""


class Call(Value, frozen=True):
    """A call to the CSMS.

    Attributes:
        payload: JSON object, encoded.
        settles: its acceptance settles the record. When False (1.6: StartTransaction has to
            be sent first to get a number) the record is encoded again after the answer.
    """

    action: str
    payload: bytes
    settles: bool = True


class Incoming(Value, frozen=True):
    """A call of the CSMS that the core has to decide.

    Attributes:
        request: what it asks, in the domain's words.
        wire: the typed payload, for the answer.
        failed: the payload to answer when the station cannot keep what it would have to
            remember; None: InternalError.
    """

    action: str
    request: Request
    wire: object
    failed: bytes | None = None


class Answered(Value, frozen=True):
    """A call of the CSMS that needs no decision: the payload of its answer."""

    payload: bytes


class Adapter(Protocol):
    """One protocol version."""

    @property
    def subprotocol(self) -> str:
        """Name on the wire: "ocpp1.6" or "ocpp2.0.1"."""

    @property
    def restates_status(self) -> bool:
        """Whether a long outage asks for every connector status again."""

    @abstractmethod
    def encode_record(self, record: Record, view: View, *, offline: bool) -> Call | None:
        """Encode a record for sending now; None when the version has no message for it.

        Args:
            offline: it happened, or was still queued, while the link was down.
        """

    @abstractmethod
    def record_accepted(
        self, record: Record, call: Call, payload: msgspec.Raw
    ) -> tuple[Event, ...]:
        """Return what the CSMS's answer to `call` teaches.

        Raises:
            RpcError: the answer is unusable; the delivery counts as failed.
        """

    @abstractmethod
    def expand(self, message: Message) -> tuple[Message, ...]:
        """Return the message with those that this version wants said before it.

        1.6 knows no direct way between some statuses (chapter 3.2 of the reference).
        """

    @abstractmethod
    def encode_message(self, message: Message, view: View) -> Call | None:
        """Encode a message; None when the version cannot or need not say it."""

    @abstractmethod
    def message_accepted(self, message: Message, payload: msgspec.Raw) -> tuple[Event, ...]:
        """Return what the CSMS's answer to a message means.

        Raises:
            RpcError: the answer is unusable.
        """

    @abstractmethod
    def admit(self, registration: RegistrationStatus | None, action: str) -> bool:
        """Tell whether a call may be answered in this registration state.

        Args:
            registration: None before the CSMS answered the first boot.

        Returns:
            False when it must be left without an answer (1.6 Rejected).

        Raises:
            RpcError: it must be refused (2.0.1 B03.FR.08).
        """

    @abstractmethod
    def decode(
        self, action: str, payload: msgspec.Raw, request_id: int, view: View
    ) -> Incoming | Answered:
        """Decode a call of the CSMS.

        Raises:
            RpcError: unknown action, unsupported action or broken payload.
        """

    @abstractmethod
    def respond(self, incoming: Incoming, outcome: Outcome, view: View) -> bytes:
        """Encode the answer to a decided call.

        Raises:
            RpcError: the version answers this outcome with an error.
        """
