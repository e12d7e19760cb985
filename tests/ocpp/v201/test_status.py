import pytest

from agent.core.effects import DataAnswer, Done, Verdict
from agent.ocpp.v201.datatypes import StatusInfo
from agent.ocpp.v201.status import answer, answer_or_later, done, info


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        (Done(Verdict.ACCEPTED), "Accepted", None),
        (Done(Verdict.SCHEDULED), "Accepted", None),
        (Done(Verdict.REJECTED), "Rejected", None),
        (Done(Verdict.NOT_SUPPORTED), "Rejected", "UnsupportedRequest"),
        (Done(Verdict.UNKNOWN_EVSE), "Rejected", "UnknownEvse"),
        (Done(Verdict.FAILED), "Rejected", "InternalError"),
        (Done(Verdict.UNKNOWN_EVSE, "UnknownConnectorId"), "Rejected", "UnknownConnectorId"),
    ],
)
def test_every_verdict_has_a_status_and_a_reason(outcome, status, reason):
    expected = None if reason is None else StatusInfo(reason)
    assert answer(outcome) == (status, expected)
    word = "Scheduled" if outcome.verdict is Verdict.SCHEDULED else status
    assert answer_or_later(outcome) == (word, expected)


def test_information_without_a_reason_gets_the_general_one():
    assert answer(Done(Verdict.ACCEPTED, info="now"))[1] == StatusInfo("NoError", "now")
    assert answer(Done(Verdict.REJECTED, info="no"))[1] == StatusInfo("Unspecified", "no")


def test_reasons_are_cut_to_what_the_schema_holds():
    assert info("r" * 21, "i" * 513) == StatusInfo("r" * 20, "i" * 512)
    assert info("") is None


def test_an_outcome_of_another_kind_is_a_defect():
    with pytest.raises(AssertionError, match="DataAnswer"):
        done(DataAnswer("Accepted"))
