import pytest
from msgspec.structs import replace

from agent.core.effects import (
    AuthorizationWanted,
    BootReported,
    CertificateSigningWanted,
    DataTransferSent,
    HeartbeatSent,
    MeterValuesReported,
    StatusReported,
)
from agent.core.values import (
    BootReason,
    ConnectorStatus,
    ReadingContext,
    Sample,
    SessionPhase,
    Stamp,
)
from agent.runtime.waiting import MESSAGES_IN_A_ROW, MOST_MESSAGES, Waiting
from hal.types import IdToken

AT = Stamp(1, 0.0, None)
BOOT = BootReported(BootReason.POWER_UP)
TOKEN = AuthorizationWanted(1, IdToken("04AA"))
FREE, PREPARING, FINISHING = (
    ConnectorStatus(1, 1, False, phase, True)
    for phase in (SessionPhase.FREE, SessionPhase.PREPARING, SessionPhase.FINISHING)
)
OTHER = ConnectorStatus(2, 1, False, SessionPhase.FREE, True)


def status(now, previous=None):
    return StatusReported(now, previous, AT)


def filled(*messages):
    waiting = Waiting()
    for message in messages:
        assert waiting.put(message) is None
    return waiting


def drained(waiting):
    found = []
    while (message := waiting.urgent()) is not None:
        found.append(message)
    return found


def test_the_introduction_goes_first_then_tokens_then_statuses():
    waiting = filled(HeartbeatSent(), status(FREE), TOKEN, BOOT)
    assert drained(waiting) == [BOOT, TOKEN, status(FREE)]
    assert waiting.idle() == HeartbeatSent()
    assert waiting.idle() is None


def test_after_ten_in_a_row_it_is_the_records_turn():
    waiting = filled(*[TOKEN] * (MESSAGES_IN_A_ROW + 2))
    assert len(drained(waiting)) == MESSAGES_IN_A_ROW
    assert waiting.is_urgent
    assert len(drained(waiting)) == 2
    assert not waiting.is_urgent


def test_only_an_introduction_goes_before_the_record_even_then():
    waiting = filled(*[TOKEN] * MESSAGES_IN_A_ROW, TOKEN)
    for _ in range(MESSAGES_IN_A_ROW):
        assert waiting.urgent() == TOKEN
    waiting.put(BOOT)
    assert waiting.urgent() == BOOT
    assert waiting.urgent() is None


def test_a_newer_status_takes_the_place_of_an_older_one_and_follows_on_what_was_told():
    waiting = filled(
        status(PREPARING, FREE), status(OTHER), status(FINISHING, PREPARING), HeartbeatSent()
    )
    assert drained(waiting) == [status(OTHER), status(FINISHING, FREE)]


def test_what_the_csms_waits_for_goes_before_records_and_stays_wanted():
    values = MeterValuesReported(1, 1, Sample(AT, ReadingContext.TRIGGER, ()))
    wanted = HeartbeatSent(is_triggered=True)
    waiting = filled(values, wanted)
    assert drained(waiting) == [values, wanted]
    waiting = filled(replace(status(PREPARING, FREE), is_triggered=True), status(FINISHING))
    assert drained(waiting) == [replace(status(FINISHING, FREE), is_triggered=True)]


def test_what_is_put_back_is_next_in_its_order():
    waiting = filled(status(OTHER), HeartbeatSent())
    waiting.put_back(status(PREPARING), status(FINISHING, PREPARING))
    assert drained(waiting) == [
        status(PREPARING),
        status(FINISHING, PREPARING),
        status(OTHER),
    ]


def test_when_too_many_wait_the_oldest_gives_way():
    waiting = filled(*[DataTransferSent(index, "V") for index in range(MOST_MESSAGES)])
    assert waiting.put(HeartbeatSent()) == DataTransferSent(0, "V")
    assert len(waiting.data) == MOST_MESSAGES - 1


@pytest.mark.parametrize("message", [HeartbeatSent(), TOKEN, BOOT, status(FREE)])
def test_nobody_at_the_station_waits_for_anything_but_vendor_data(message):
    assert filled(message).data == []


def test_a_request_for_a_certificate_does_not_wait_for_bills():
    wanted = CertificateSigningWanted("csr")
    assert drained(filled(HeartbeatSent(), wanted)) == [wanted]
