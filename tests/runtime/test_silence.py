"""When calls without an answer mean that the link is half dead."""

from agent.runtime.silence import Silence


def test_two_in_a_row_mean_it() -> None:
    silence = Silence({"Heartbeat"})
    assert not silence.kept("Heartbeat", is_minor=False)
    assert not silence.is_half_dead
    silence.kept("DataTransfer", is_minor=False)
    assert silence.is_half_dead


def test_an_answer_in_between_breaks_the_row() -> None:
    silence = Silence(set())
    silence.kept("Heartbeat", is_minor=False)
    silence.broken()
    silence.kept("Heartbeat", is_minor=False)
    assert not silence.is_half_dead


def test_what_a_csms_has_never_answered_means_nothing() -> None:
    silence = Silence({"BootNotification"})
    for _ in range(5):
        assert silence.kept("StatusNotification", is_minor=True)
    assert not silence.is_half_dead
    silence.broken("StatusNotification")
    assert not silence.kept("StatusNotification", is_minor=True)
    assert silence.count == 1


def test_unless_it_has_never_answered_anything() -> None:
    silence = Silence(set())
    assert not silence.kept("StatusNotification", is_minor=True)
