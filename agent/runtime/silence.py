"""Calls without an answer: when they mean that the link is half dead, and when they do not.

Two in a row mean it: there are links on which pings are answered by a proxy, and calls by
nobody. A CSMS that answers, but has never yet answered one kind of message, is another matter
(1.6 reference, chapter 11, number 16): some take a status or samples and say nothing.
"""

from typing import Final

HALF_DEAD: Final = 2
"""Calls in a row without an answer that make a link half dead."""


class Silence:
    """What a CSMS leaves without an answer.

    Attributes:
        count: calls in a row without an answer that mean something.
        answered: actions that this CSMS has answered so far, also on earlier links.
    """

    def __init__(self, answered: set[str]) -> None:
        self.count = 0
        self.answered = answered

    @property
    def is_half_dead(self) -> bool:
        """Whether the link should be given up."""
        return self.count >= HALF_DEAD

    def broken(self, action: str | None = None) -> None:
        """Take that an answer came; without an action it came late."""
        self.count = 0
        if action is not None:
            self.answered.add(action)

    def kept(self, action: str, *, is_minor: bool) -> bool:
        """Take that none came in time; return whether this CSMS never answers the action.

        Args:
            is_minor: a message that a CSMS may think needs no answer.
        """
        if is_minor and self.answered and action not in self.answered:
            return True
        self.count += 1
        return False
