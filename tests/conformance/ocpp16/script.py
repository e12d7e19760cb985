"""The words in which certification cases are written (1.6 reference, chapter 10).

    async def steps(case):
        await case.online()
        case.plug()
        await case.expect(status("Preparing"))
        case.tap()
        await case.expect(call("Authorize", idTag=TAG))
        await case.expect(call("StartTransaction", connectorId=1), status("Charging"))

    certify(steps)

`expect` takes the station's next calls in the order of the wire; calls that one `expect`
names together may come in any order among themselves, as the certification tool has it.
Nothing else may come between, nor be left over at the end, except what comes by itself at
any time (`BACKGROUND`), and an answer of the station comes before the calls that it causes.

Every frame is held to the official schemas and to the rules of tests.support.wire.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from agent.bench.script import BootAnswer, Refusal
from hal.types import Fault
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, Lab, run
from tests.support.wire import CALL, Frame

__all__ = [
    "IDENTITY",
    "OTHER_TAG",
    "TAG",
    "Case",
    "Steps",
    "any_of",
    "call",
    "certify",
    "status",
]

BACKGROUND = frozenset({"Heartbeat", "MeterValues", "SecurityEventNotification"})
"""Calls that may come at any time; they are seen only where a case expects them."""

CONNECTORS = 2

Steps = Callable[["Case"], Awaitable[None]]


class Wanted(NamedTuple):
    """A call of the station: its action, and the members that it must have.

    A member that is `...` must be there, one that is None must not.
    """

    action: str
    members: dict[str, Any]

    def fits(self, frame: Frame) -> bool:
        """Tell whether a call is this one."""
        return frame.tree[2] == self.action and all(
            _agrees(frame.payload.get(name), value) for name, value in self.members.items()
        )


class OneOf(NamedTuple):
    """A member that may have several values."""

    values: tuple[Any, ...]


def any_of(*values: Any) -> OneOf:
    """Return a member that may have any of these values."""
    return OneOf(values)


def _agrees(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, OneOf):
        return any(_agrees(found, value) for value in wanted.values)
    return found is not None if wanted is ... else bool(found == wanted)


def call(action: str, **members: Any) -> Wanted:
    """Return a call to expect."""
    return Wanted(action, members)


def status(
    word: str | OneOf, connector: int = 1, *, error: str = "NoError", **members: Any
) -> Wanted:
    """Return a StatusNotification to expect."""
    return call(
        "StatusNotification", connectorId=connector, status=word, errorCode=error, **members
    )


class Case:
    """A station and its CSMS in the hands of a certification case."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._seen = 0
        """Frames of the wire that are dealt with; what was passed over does not come back."""

    # --- hands at the station ---

    def plug(self, connector: int = 1, **vehicle: Any) -> None:
        """Plug a vehicle in that wants energy at once."""
        self.lab.plug(connector, **{"reaction_s": 0.0, **vehicle})

    def unplug(self, connector: int = 1) -> None:
        """Take it away."""
        self.lab.unplug(connector)

    def tap(self, token: str = TAG, connector: int = 1) -> None:
        """Hold a card before the reader of a connector."""
        self.lab.tap(token, connector)

    def breaks(self, fault: Fault, connector: int = 1) -> None:
        """Let something break."""
        self.lab.evse(connector).fault(fault)

    def mended(self, fault: Fault, connector: int = 1) -> None:
        """Mend it."""
        self.lab.evse(connector).clear(fault)

    async def power_cycle(self, off_s: float = 5.0) -> None:
        """Take the power away, and give it back."""
        await self.lab.cut()
        await asyncio.sleep(off_s)
        await self.lab.start()

    def energized(self, connector: int = 1) -> bool:
        """Return what the mirror contact shows."""
        return self.lab.evse(connector).outlet_closed

    def offer_a(self, connector: int = 1) -> float:
        """Return the current on offer."""
        return self.lab.evse(connector).offer_a

    def locked(self, connector: int = 1) -> bool:
        """Return whether the plug is locked."""
        return self.lab.evse(connector).locked

    # --- the station's calls ---

    async def expect(self, *wanted: Wanted, within_s: float = 120.0) -> list[Frame]:
        """Take the next calls, which are these in any order; return them in the order named."""
        left, found = dict(enumerate(wanted)), {}
        give_up_at = self.lab.now_s + within_s
        while left:
            frame = await self._next({one.action for one in left.values()}, give_up_at, left)
            number = next((at for at, one in left.items() if one.fits(frame)), None)
            assert number is not None, f"{frame.text}\n  came instead of {_text(left)}"
            found[number] = frame
            del left[number]
        return [found[number] for number in range(len(wanted))]

    async def quiet(self, for_s: float = 30.0) -> None:
        """Find that the station says nothing for a while, but what comes by itself."""
        await asyncio.sleep(for_s)
        self.over()

    def over(self) -> None:
        """Find that the station has said nothing that was not expected."""
        rest = [frame.text for frame in self._calls(set())]
        assert not rest, f"nobody expected {rest}"

    async def _next(self, actions: set[str], give_up_at: float, left: Any) -> Frame:
        while True:
            for frame in self._calls(actions):
                return frame
            assert self.lab.now_s < give_up_at, (
                f"not in time: {_text(left)}; {self.lab.status()}"
            )
            await asyncio.sleep(0.05)

    def _calls(self, actions: set[str]) -> Any:
        """Yield the calls that nobody has taken yet, and take them."""
        frames = self.lab.wire.frames
        while self._seen < len(frames):
            frame = frames[self._seen]
            self._seen += 1
            if frame.is_sent and frame.tree[0] == CALL:
                action = frame.tree[2]
                if action in actions or action not in BACKGROUND:
                    yield frame

    # --- the CSMS's calls ---

    async def ask(self, action: str, /, **payload: Any) -> dict[str, Any]:
        """Ask the station something, and return its answer; it comes before all it causes."""
        answer = await self._asked(action, payload)
        assert not isinstance(answer, Refusal), answer
        return answer

    async def refused(self, action: str, /, **payload: Any) -> str:
        """Ask something that the station refuses, and return its error code."""
        answer = await self._asked(action, payload)
        assert isinstance(answer, Refusal), answer
        return answer.code

    async def _asked(self, action: str, payload: dict[str, Any]) -> Any:
        answer = await self.lab.csms.request(IDENTITY, action, payload)
        frames = self.lab.wire.frames
        answered_at = max(
            at for at, one in enumerate(frames) if one.is_sent and one.tree[0] != CALL
        )
        early = [
            one.text
            for at, one in enumerate(frames)
            if self._seen <= at < answered_at
            and one.is_sent
            and one.tree[0] == CALL
            and one.tree[2] not in BACKGROUND
        ]
        assert not early, f"came before the answer to {action}: {early}"
        self._seen = max(self._seen, answered_at)
        return answer

    async def set(self, **keys: object) -> None:
        """Change configuration keys, all of which are accepted."""
        for key, value in keys.items():
            answer = await self.ask("ChangeConfiguration", key=key, value=_written(value))
            assert answer == {"status": "Accepted"}, (key, answer)

    async def has(self, **keys: object) -> None:
        """Find keys at these values; they are changed where they can be."""
        for key, value in keys.items():
            await self.ask("ChangeConfiguration", key=key, value=_written(value))
            assert await self.get(key) == _written(value), key

    async def get(self, key: str) -> str | None:
        """Return the value of a configuration key, None when it has none."""
        answer = await self.ask("GetConfiguration", key=[key])
        [entry] = answer["configurationKey"]
        value: str | None = entry.get("value")
        return value

    # --- states that cases begin with ---

    async def online(self, *boots: BootAnswer) -> None:
        """Power up, be accepted, and tell the statuses."""
        if boots:
            self.lab.csms.behaviour.boots = list(boots)
        await self.lab.start()
        await self.booted()

    async def booted(self, *others: Wanted, **words: str | OneOf) -> list[Frame]:
        """Expect a boot, and the statuses of all connectors after it; return the others.

        Args:
            others: what comes among the statuses or after them.
            words: statuses that are not Available, as `c1="Finishing"`.
        """
        await self.expect(call("BootNotification"))
        told = [
            status(words.get(f"c{connector}", "Available"), connector)
            for connector in range(len(self.lab.specs) + 1)
        ]
        return (await self.expect(*told, *others))[len(told) :]

    async def charging(self, connector: int = 1, token: str = TAG) -> int:
        """Plug in, start remotely, and return the number of the transaction."""
        self.plug(connector)
        await self.expect(status("Preparing", connector))
        answer = await self.ask("RemoteStartTransaction", connectorId=connector, idTag=token)
        assert answer == {"status": "Accepted"}
        return await self.started(connector, token)

    async def started(self, connector: int = 1, token: str = TAG, **members: Any) -> int:
        """Expect a transaction to start; return its number."""
        [start, _] = await self.expect(
            call("StartTransaction", connectorId=connector, idTag=token, **members),
            status("Charging", connector),
        )
        assert start.payload["meterStart"] >= 0
        await self.lab.until(lambda: self.energized(connector))
        return self.number

    @property
    def number(self) -> int:
        """Return the CSMS's number of the latest transaction."""
        number = self.lab.bills[-1].number
        assert number is not None
        return number

    async def stopped(
        self,
        reason: str | OneOf,
        *others: Wanted,
        connector: int = 1,
        word: str = "Finishing",
        **members: Any,
    ) -> Frame:
        """Expect a transaction to end; return its StopTransaction.

        Args:
            others: what may come in between.
        """
        stop, *_ = await self.expect(
            call("StopTransaction", transactionId=self.number, reason=reason, **members),
            status(word, connector),
            *others,
        )
        assert not self.energized(connector)
        return stop


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(left: dict[int, Wanted]) -> str:
    return " and ".join(f"{one.action} {one.members}" for one in left.values())


def certify(steps: Steps, *, evses: int = CONNECTORS, **lab: Any) -> Lab:
    """Live a case, and find that nothing was said which it does not know of."""

    async def story(world: Lab) -> None:
        case = Case(world)
        await steps(case)
        await asyncio.sleep(1.0)
        case.over()

    # A stop waits for a reading; the simulated meter is asked as often as a real one is.
    return run(Lab("ocpp1.6", evses=evses, idle_report_s=1.0, **lab), story)
