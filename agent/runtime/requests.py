"""Matches replies of the core to whoever asked, the CSMS or a local client."""

import asyncio
from collections.abc import Callable

from agent.core.effects import Outcome, Reply

Answer = Callable[[Outcome], None]


class Requests:
    """Open requests by id; ids are never used twice in the life of the process."""

    def __init__(self) -> None:
        self._next_id = 1
        self._open: dict[int, Answer] = {}

    def opened(self, answer: Answer) -> int:
        """Return the id of a new request whose reply goes to `answer`."""
        request_id, self._next_id = self._next_id, self._next_id + 1
        self._open[request_id] = answer
        return request_id

    def awaited(self) -> "tuple[int, asyncio.Future[Outcome]]":
        """Return the id of a new request and the future of its outcome."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def answer(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        return self.opened(answer), future

    def replied(self, reply: Reply) -> None:
        """Hand an outcome to who asked; a reply to nobody is dropped."""
        answer = self._open.pop(reply.request_id, None)
        if answer is not None:
            answer(reply.outcome)

    def forgotten(self, request_id: int) -> None:
        """Drop a request: nobody waits for its outcome any more."""
        self._open.pop(request_id, None)
