"""Everything that went over a station's links, and what every frame of it is held to.

Whatever happens in a story, on the wire these hold:

* every frame of the station validates against the official schema of the version spoken;
* no instant lies before the birth of this software: no 1970 is ever told;
* until the CSMS has accepted it, a station says BootNotification, what the CSMS triggers, and
  nothing else;
* a connector of 1.6 takes only the steps that the status table allows;
* every call of the CSMS is answered once at most, and nothing else is answered.
"""

import json
import re
from collections import deque
from functools import lru_cache
from typing import Any, NamedTuple

from agent.ocpp.v16.statuses import STEPS
from tests.support import schemas

CALL, RESULT, ERROR = 2, 3, 4
EARLIEST = "2025-01-01"
_INSTANT = re.compile(r'"(\d{4}-\d\d-\d\d)T\d\d:\d\d')
_STEPS = {str(before): after for before, after in STEPS.items()}


class Frame(NamedTuple):
    """A frame: when, on which link (from 0), which way, and what."""

    at_s: float
    link: int
    is_sent: bool
    text: str
    tree: list[Any]

    @property
    def payload(self) -> dict[str, Any]:
        """Return the payload of a call or an answer; of a refusal there is none."""
        members: dict[str, Any] = self.tree[3] if self.tree[0] == CALL else self.tree[2]
        return members


class Wire:
    """The frames of all links, seen from the station."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque(maxlen=100_000)
        self.versions: list[str] = []

    def opened(self, version: str) -> int:
        """Return the number of a new link."""
        self.versions.append(version)
        return len(self.versions) - 1

    def note(self, at_s: float, link: int, text: str, *, is_sent: bool) -> None:
        """Keep a frame."""
        self.frames.append(Frame(at_s, link, is_sent, text, json.loads(text)))

    def calls(self, action: str | None = None) -> list[Frame]:
        """Return the station's calls, in order."""
        return [
            frame
            for frame in self.frames
            if frame.is_sent and frame.tree[0] == CALL and action in (None, frame.tree[2])
        ]

    def payloads(self, action: str) -> list[dict[str, Any]]:
        """Return the payloads of the station's calls of an action, in order."""
        return [frame.tree[3] for frame in self.calls(action)]

    def actions(self) -> list[str]:
        """Return the actions of the station's calls, in order."""
        return [frame.tree[2] for frame in self.calls()]

    def judge(self) -> None:
        """Hold every frame of the station to the rules above."""
        for number, version in enumerate(self.versions):
            self._judge_link([item for item in self.frames if item.link == number], version)
        self._judge_boots()
        self._judge_steps()

    def _judge_link(self, frames: list[Frame], version: str) -> None:
        asked: dict[str, str] = {}
        for frame in frames:
            kind, message_id = frame.tree[:2]
            if not frame.is_sent:
                if kind == CALL:
                    asked[message_id] = frame.tree[2]
                continue
            if kind == CALL:
                action, payload = frame.tree[2], json.dumps(frame.tree[3])
                _check(version, action, payload, is_response=False)
            else:
                action = asked.pop(message_id)
                if kind == RESULT:
                    payload = json.dumps(frame.tree[2])
                    _check(version, action, payload, is_response=True)
            for instant in _INSTANT.findall(frame.text):
                assert instant >= EARLIEST, frame.text

    def _judge_boots(self) -> None:
        is_accepted, booting, triggered = False, "", set[str]()
        for frame in self.frames:
            kind, message_id = frame.tree[:2]
            if kind == CALL and not frame.is_sent and frame.tree[2].endswith("TriggerMessage"):
                triggered.add(frame.tree[3]["requestedMessage"])
            if frame.is_sent and kind == CALL:
                action = frame.tree[2]
                if action == "BootNotification":
                    booting, is_accepted = message_id, False
                is_fine = is_accepted or message_id == booting or action in triggered
                assert is_fine, f"too early: {frame.text}"
            elif kind == RESULT and message_id == booting and not frame.is_sent:
                is_accepted = frame.tree[2].get("status") == "Accepted"

    def _judge_steps(self) -> None:
        last: dict[int, str] = {}
        for frame in self.calls():
            action, payload = frame.tree[2:4]
            if action == "BootNotification":
                last.clear()
            if action != "StatusNotification":
                continue
            if self.versions[frame.link] != "ocpp1.6":
                last.clear()  # its five words tell less than the nine
                continue
            place, word = payload["connectorId"], payload["status"]
            before = last.get(place)
            if place and before is not None:
                assert word == before or word in _STEPS[before], f"{before} to {word}"
            last[place] = word


@lru_cache(maxsize=10_000)
def _check(version: str, action: str, payload: str, *, is_response: bool) -> None:
    """Hold a payload to its schema, the same one only once: a story is lived many times."""
    schemas.validate(version, action, payload, response=is_response)
