"""Security events become records."""

from agent.core.effects import Report, SecurityEvent
from agent.core.events import LinkDown, SecurityEventRaised
from tests.support.core import Bench


def test_a_security_event_is_kept_whether_or_not_the_csms_listens() -> None:
    bench = Bench().ready()
    bench.post(LinkDown("lost"))
    (report,) = bench.post(SecurityEventRaised("TamperDetectionActivated", "lid"))
    assert isinstance(report, Report)
    assert report.record == SecurityEvent(
        "TamperDetectionActivated", bench.station.timebase.dated(bench.env().now), "lid"
    )
    bench.power_cut()
    assert [entry.kind for entry in bench.station.outbox.entries] == ["security"]


def test_texts_are_cut_to_what_the_wire_carries() -> None:
    bench = Bench()
    bench.post(SecurityEventRaised("x" * 60, "y" * 300))
    (record,) = bench.told_records(SecurityEvent)
    assert (record.type, record.tech_info) == ("x" * 50, "y" * 255)
