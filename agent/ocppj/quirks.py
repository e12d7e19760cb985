"""What a CSMS does against the rules and is forgiven for, by name.

Reading is lenient where leniency harms nobody (1.6 reference, chapter 11), and whoever
operates the CSMS should hear of it. The code that forgives says so with `noted`, deep inside
pure functions whose results are the same either way; whoever reads a frame calls `begin`
first and looks afterwards. Nothing is noted on the way of a payload that fits.
"""

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MOST_NOTED: Final = 64
"""Notes of one frame; a list of a thousand odd numbers is one quirk, not a thousand."""


class Quirk(enum.Enum):
    """Names, as `status` shows them."""

    NO_SUBPROTOCOL = "subprotocol_not_named"
    OTHER_SUBPROTOCOL = "subprotocol_in_other_spelling"
    NUMERIC_ID = "numeric_message_id"
    LONG_ID = "long_message_id"
    NO_PAYLOAD = "payload_missing_or_null"
    SHORT_ERROR = "error_without_code_or_details"
    UNKNOWN_ERROR = "error_code_unknown"
    SEVERAL_CALLS = "several_calls_at_once"
    EARLY_CALL = "call_before_boot_answer"
    UNSOLICITED_ANSWER = "unsolicited_answer"
    LATE_ANSWER = "late_answer"
    UNANSWERED_ACTION = "action_never_answered"
    NUMBER_AS_TEXT = "number_as_text"
    WHOLE_DECIMAL = "integer_with_decimals"
    BOOLEAN_AS_TEXT = "boolean_as_text"
    BOOLEAN_AS_DIGIT = "boolean_as_digit"
    OTHER_CASE = "word_in_other_case"
    LIST_FOR_OBJECT = "list_around_object"
    TIME_FORM = "time_not_rfc3339"
    UNREADABLE_TIME = "time_unreadable"
    ODD_INTERVAL = "interval_cannot_be_meant"
    EMPTY_TEXT = "empty_text_for_absent"
    OLD_NAME = "member_under_its_old_name"
    LONG_GROUP = "group_too_long"
    NO_START = "start_schedule_missing"
    BLANK_IN_ADDRESS = "blank_in_address"
    NO_ID_TAG_INFO = "id_tag_info_missing"
    JSON_AS_DATA = "data_not_text"


_noted: ContextVar[list[Quirk] | None] = ContextVar("quirks", default=None)


def begin() -> list[Quirk]:
    """Return the list that notes of this task go to from now on."""
    found: list[Quirk] = []
    _noted.set(found)
    return found


def noted(*quirks: Quirk) -> None:
    """Note what was forgiven, if anybody listens."""
    found = _noted.get()
    if found is not None and len(found) < MOST_NOTED:
        found.extend(quirks)


@contextmanager
def tentative() -> Iterator[None]:
    """Keep the notes of what is done within only if it succeeds."""
    own: list[Quirk] = []
    token = _noted.set(own)
    try:
        yield
    finally:
        _noted.reset(token)
    noted(*own)
