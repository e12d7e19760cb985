"""One link of the bench CSMS to one station, and what can go wrong on it."""

import asyncio

from agent.bench.desk import Clerk, Desk
from agent.ocppj.rpc import AnswerReceived, ErrorReceived, Rpc
from agent.transport.link import Link
from hal.types import Value

LONGEST_FRAME = 1_048_576
"""Characters of a frame that are taken: reports of real stations are long."""


class CsmsError(Exception):
    """A request could not be brought to its end."""


class NotConnectedError(CsmsError):
    """The station has no link, or lost it before it answered."""


class NoAnswerError(CsmsError):
    """The station did not answer in time."""


class Violation(Value, frozen=True):
    """What a station did wrong.

    Attributes:
        action: of the message, "" when it had none.
        code: with which it was refused; None when it was answered all the same.
        frame: at most its first 2000 characters.
    """

    identity: str
    action: str
    description: str
    code: str | None
    frame: str


class Session:
    """One link to one station."""

    def __init__(self, link: Link, clerk: Clerk, desk: Desk) -> None:
        self.link, self.clerk, self.desk = link, clerk, desk
        self.rpc = Rpc(link.subprotocol, LONGEST_FRAME)
        self.turn = asyncio.Lock()
        self.waiting: asyncio.Future[AnswerReceived | ErrorReceived] | None = None
        self.late: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """Forget what was to be sent, and let nobody wait any longer."""
        for task in self.late:
            task.cancel()
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(NotConnectedError("the link was lost"))
