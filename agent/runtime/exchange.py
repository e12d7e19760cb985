"""What a conversation with the CSMS is given, and what it remembers of a call."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from agent.core.effects import Message, Record
from agent.core.events import Event
from agent.core.values import Value
from agent.ocpp.adapter import Call

ReadRecord = Callable[[int], Awaitable[Record | None]]
WireObserver = Callable[[str, str | bytes], None]
"""Called with "sent" or "received", and the frame."""


class Inbox(Protocol):
    """Where events go."""

    taken: int

    def post(self, event: Event) -> int:
        """Put an event into the inbox; return its ticket."""


class Records(Protocol):
    """Where records are read from."""

    saved_up_to: int

    async def read(self, record_id: int) -> Record | None:
        """Return a record, None when there is none of this id."""


class Sent(Value, frozen=True):
    """A call of ours: a message, or a record with its id."""

    call: Call
    message_id: str
    message: Message | None = None
    record_id: int = 0
    record: Record | None = None
