"""Outcomes of the core as the statuses of 2.0.1, with their reason.

A status that refuses carries `statusInfo` whenever there is something to say; the reason
codes are those of appendix C of the reference. Where the core names none, the verdict does.
"""

from typing import TypeAlias

from agent.core.effects import Done, Outcome, Verdict
from agent.ocpp.v201.datatypes import StatusInfo
from agent.ocpp.v201.messages import AcceptedOrRejected, AcceptedRejectedOrScheduled

_REASONS = {
    Verdict.FAILED: "InternalError",
    Verdict.NOT_SUPPORTED: "UnsupportedRequest",
    Verdict.UNKNOWN_EVSE: "UnknownEvse",
}
_GRANTED = frozenset({Verdict.ACCEPTED, Verdict.SCHEDULED})
_LONGEST_REASON = 20  # StatusInfoType.reasonCode
_LONGEST_INFO = 512  # StatusInfoType.additionalInfo

Answer: TypeAlias = tuple[AcceptedOrRejected, StatusInfo | None]
AnswerOrLater: TypeAlias = tuple[AcceptedRejectedOrScheduled, StatusInfo | None]


def done(outcome: Outcome) -> Done:
    """Return the outcome of a request that is answered by one verdict."""
    match outcome:
        case Done():
            return outcome
        case _:
            raise AssertionError(f"a verdict was expected, not {type(outcome).__name__}")


def answer(outcome: Outcome) -> Answer:
    """Return status and reason for a request that is granted or refused at once."""
    verdict = done(outcome)
    word: AcceptedOrRejected = "Accepted" if verdict.verdict in _GRANTED else "Rejected"
    return word, _info(verdict)


def answer_or_later(outcome: Outcome) -> AnswerOrLater:
    """Return status and reason for a request that may also be granted for later."""
    verdict = done(outcome)
    if verdict.verdict is Verdict.SCHEDULED:
        return "Scheduled", _info(verdict)
    return answer(verdict)


def info(reason: str, text: str = "") -> StatusInfo | None:
    """Return a reason cut to what the schema holds; None when nothing is said."""
    if not reason:
        return None
    return StatusInfo(reason[:_LONGEST_REASON], text[:_LONGEST_INFO] or None)


def _info(verdict: Done) -> StatusInfo | None:
    reason = verdict.reason or _REASONS.get(verdict.verdict, "")
    if not reason and verdict.info:
        reason = "NoError" if verdict.verdict in _GRANTED else "Unspecified"
    return info(reason, verdict.info)
