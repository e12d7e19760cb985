"""How the bench CSMS behaves, set by whoever runs a bench; by default it is a good CSMS.

    behaviour = Behaviour()
    behaviour.boots = [BootAnswer("Pending", 5), BootAnswer("Accepted", 300)]
    behaviour.verdicts["04AABBCC"] = Verdict("Blocked")
    behaviour.on("StartTransaction", Silence(), times=1)

A reaction says what becomes of the answer to an action. With `takes` the message is entered
in the ledger all the same: the station's copy of the answer is what gets lost. Without it the
message might never have arrived.
"""

from typing import Any, TypeAlias

from hal.types import Value

ANY = "*"
"""Stands for every action."""


class BootAnswer(Value, frozen=True):
    """Answer to a BootNotification.

    Attributes:
        status: "Accepted", "Pending" or "Rejected".
        interval_s: between heartbeats, or until the next try.
    """

    status: str = "Accepted"
    interval_s: int = 300


class Verdict(Value, frozen=True):
    """Standing of an id token, in the words of the version that is spoken.

    Attributes:
        group: parentIdTag or groupIdToken.
        expires_at: expiryDate or cacheExpiryDateTime, as text for the wire.
    """

    status: str = "Accepted"
    group: str | None = None
    expires_at: str | None = None


class Delay(Value, frozen=True):
    """The answer comes after this time; later than the station waits, it is a late one."""

    delay_s: float


class Silence(Value, frozen=True):
    """No answer ever comes."""

    takes: bool = True


class Twice(Value, frozen=True):
    """The answer comes twice."""


class Refusal(Value, frozen=True):
    """A CALLERROR with this code comes instead; nothing is entered in the ledger."""

    code: str = "InternalError"
    description: str = ""


class Reply(Value, frozen=True):
    """This payload comes instead of the right one, whatever it is."""

    payload: Any


class Hangup(Value, frozen=True):
    """The link is closed instead of an answer."""

    takes: bool = True


Reaction: TypeAlias = Delay | Silence | Twice | Refusal | Reply | Hangup


class _Rule:
    def __init__(self, action: str, reaction: Reaction, times: int | None) -> None:
        self.action, self.reaction, self.left = action, reaction, times


class Behaviour:
    """The script of a CSMS; every attribute may be set at any time.

    Attributes:
        boots: answers to boots, used up one after the other; the last one stays for all that
            follow. At least one.
        verdicts: by token; an unknown token is accepted.
        transaction_verdicts: the same for the answers to StartTransaction, StopTransaction
            and TransactionEvent; a token that is not here has its standing in `verdicts`.
        clock_offset_s: how far the CSMS's clock is ahead.
        subprotocols: what it speaks, the preferred one first (real sockets only).
        password: Basic authentication is asked for, with the identity as user; None: not.
        client_name: common name that a station's certificate has to have (security profile 3:
            its serial number); None: any.
        signs: requests for certificates are taken; whoever plays the CSMS then sends them.
        http_status: every handshake is refused with this status; None: not (real sockets).
        closes_at_once: a link is closed as soon as it is there.
    """

    def __init__(self) -> None:
        self.boots: list[BootAnswer] = [BootAnswer()]
        self.verdicts: dict[str, Verdict] = {}
        self.transaction_verdicts: dict[str, Verdict] = {}
        self.clock_offset_s = 0.0
        self.subprotocols: tuple[str, ...] = ("ocpp2.0.1", "ocpp1.6")
        self.password: str | bytes | None = None
        self.client_name: str | None = None
        self.signs = False
        self.http_status: int | None = None
        self.closes_at_once = False
        self._rules: list[_Rule] = []

    def on(self, action: str, reaction: Reaction, *, times: int | None = None) -> None:
        """React so to an action, or with `ANY` to all; the rule that was set first counts.

        Args:
            times: how often; None: always.
        """
        self._rules.append(_Rule(action, reaction, times))

    def clear(self) -> None:
        """Forget all reactions."""
        self._rules.clear()

    def reaction(self, action: str) -> Reaction | None:
        """Return how to react now, and count it."""
        for rule in self._rules:
            if rule.action in (action, ANY):
                if rule.left is not None:
                    rule.left -= 1
                    if rule.left <= 0:
                        self._rules.remove(rule)
                return rule.reaction
        return None

    def boot_answer(self) -> BootAnswer:
        """Return the answer to the next boot."""
        return self.boots.pop(0) if len(self.boots) > 1 else self.boots[0]

    def verdict(self, token: str) -> Verdict:
        """Return the standing of a token that asks for authorization."""
        return self.verdicts.get(token, Verdict())

    def transaction_verdict(self, token: str) -> Verdict:
        """Return the standing of a token that a transaction names."""
        return self.transaction_verdicts.get(token) or self.verdict(token)
