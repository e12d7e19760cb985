"""Messages that wait for their turn on a link, by priority.

Introduction, authorization and statuses go before the oldest record, the rest after it. So
that a busy station still delivers what it owes, the record has its turn after ten messages
in a row; only an introduction goes before it even then (1.6 reference, appendix C).
"""

from collections import deque
from typing import Final

from msgspec.structs import replace

from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    CertificateSigningWanted,
    DataTransferSent,
    HeartbeatSent,
    Message,
    MeterValuesReported,
    StatusRepeated,
    StatusReported,
)

MESSAGES_IN_A_ROW: Final = 10

MOST_MESSAGES: Final = 200
"""Messages of one priority that may wait; the oldest gives way."""

_BOOT, _AUTHORIZATION, _STATUS, _IDLE = range(4)


class Waiting:
    """The queues of one link."""

    def __init__(self) -> None:
        self._queues: tuple[deque[Message], ...] = tuple(deque() for _ in range(4))
        self._in_a_row = 0

    def put(self, message: Message) -> Message | None:
        """Let a message wait; of a connector's statuses only the latest does.

        Returns:
            The message that had to give way, None when there was room.
        """
        queue = self._queues[_priority(message)]
        if isinstance(message, StatusReported):
            message = _coalesced(queue, message)
        queue.append(message)
        return queue.popleft() if len(queue) > MOST_MESSAGES else None

    def put_back(self, *messages: Message) -> None:
        """Let messages be the next of their priority, in this order."""
        for message in reversed(messages):
            self._queues[_priority(message)].appendleft(message)

    def urgent(self) -> Message | None:
        """Return the next message that goes before the oldest record, None: it is its turn."""
        is_turn_of_record = self._in_a_row >= MESSAGES_IN_A_ROW
        for queue in self._queues[:_AUTHORIZATION] if is_turn_of_record else self._urgent:
            if queue:
                self._in_a_row += 1
                return queue.popleft()
        self._in_a_row = 0
        return None

    def idle(self) -> Message | None:
        """Return the next message for when there is no record to send."""
        queue = self._queues[_IDLE]
        return queue.popleft() if queue else None

    @property
    def is_urgent(self) -> bool:
        """Whether something waits that goes before records."""
        return any(self._urgent)

    @property
    def data(self) -> list[DataTransferSent]:
        """Return the vendor data that waits: somebody at the station waits for its answer."""
        return [item for item in self._queues[_IDLE] if isinstance(item, DataTransferSent)]

    @property
    def _urgent(self) -> tuple[deque[Message], ...]:
        return self._queues[:_IDLE]


def _priority(message: Message) -> int:
    match message:
        case BootReported():
            return _BOOT
        case AuthorizationWanted():
            return _AUTHORIZATION
        case StatusReported() | MeterValuesReported() | StatusRepeated():
            return _STATUS
        case HeartbeatSent(is_triggered=True) | CertificateSigningWanted():
            return _STATUS
        case _:
            return _IDLE


def _coalesced(queue: deque[Message], message: StatusReported) -> StatusReported:
    """Take an older waiting status of the same connector out of the queue.

    The newer one then follows on what the CSMS was told before both.
    """
    status = message.status
    for waiting in queue:
        if isinstance(waiting, StatusReported) and (
            waiting.status.evse_id == status.evse_id
            and waiting.status.connector_id == status.connector_id
        ):
            queue.remove(waiting)
            is_triggered = message.is_triggered or waiting.is_triggered
            return replace(message, previous=waiting.previous, is_triggered=is_triggered)
    return message
