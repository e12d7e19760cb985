"""Security events: who learns of them, and what raises them."""

import pytest

from agent.core import security, variables
from agent.core.effects import Effect, Report, SecurityEvent, SecurityLogged
from agent.core.events import (
    BootAnswered,
    DialFailed,
    DialRefusal,
    HeartbeatAnswered,
    LinkDown,
    LinkUp,
    SecurityEventRaised,
    SettingsWriteRequested,
    StorageFailed,
)
from agent.core.security import EVENTS, STORM_S, Weight, started, weight
from agent.core.values import BootReason, RegistrationStatus
from tests.support.core import WALL_S, Bench

TAMPER = SecurityEventRaised("TamperDetectionActivated", "lid")
NOISE = SecurityEventRaised("InvalidMessages", "no JSON")


def told(bench: Bench) -> list[tuple[str, str]]:
    """Return type and info of every event that the CSMS is told."""
    return [(item.type, item.tech_info) for item in bench.told_records(SecurityEvent)]


def logged(effects: list[Effect]) -> list[tuple[str, bool]]:
    """Return type and gravity of every event that is logged."""
    return [
        (effect.type, effect.is_critical)
        for effect in effects
        if isinstance(effect, SecurityLogged)
    ]


def test_a_security_event_is_kept_whether_or_not_the_csms_listens() -> None:
    bench = Bench().ready()
    bench.post(LinkDown("lost"))
    entry, report = bench.post(TAMPER)
    at = bench.station.timebase.dated(bench.env().now)
    assert entry == SecurityLogged("TamperDetectionActivated", at, "lid", is_critical=True)
    assert isinstance(report, Report)
    assert report.record == SecurityEvent("TamperDetectionActivated", at, "lid")
    bench.power_cut()
    assert [entry.kind for entry in bench.station.outbox.entries] == ["security"]


def test_texts_are_cut_to_what_the_wire_carries() -> None:
    bench = Bench()
    bench.post(SecurityEventRaised("x" * 60, "y" * 300))
    (record,) = bench.told_records(SecurityEvent)
    assert (record.type, record.tech_info) == ("x" * 50, "y" * 255)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_event_is_logged_and_those_that_matter_are_told(name: str) -> None:
    bench = Bench()
    effects = bench.post(SecurityEventRaised(name))
    assert logged(effects) == [(name, weight(name) is Weight.CRITICAL)]
    assert bool(told(bench)) is (weight(name) is not Weight.LOGGED)


def test_an_event_of_a_vendor_is_critical() -> None:
    bench = Bench()
    assert logged(bench.post(SecurityEventRaised("LidOpened"))) == [("LidOpened", True)]
    assert told(bench) == [("LidOpened", "")]


def test_a_csms_that_wants_no_events_is_told_none() -> None:
    bench = Bench(**{variables.DISABLE_SECURITY_EVENTS.name: "true"})
    assert logged(bench.post(TAMPER)) == [("TamperDetectionActivated", True)]
    assert not told(bench)


def test_to_stop_the_events_is_a_change_of_security_itself() -> None:
    bench = Bench().ready()
    name = variables.DISABLE_SECURITY_EVENTS.name
    effects = bench.post(SettingsWriteRequested(1, ((name, "true"),)))
    assert logged(effects) == [("ReconfigurationOfSecurityParameters", False)]
    assert not logged(bench.post(SettingsWriteRequested(2, (("HeartbeatInterval", "60"),))))


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (BootReason.POWER_UP, "StartupOfTheDevice"),
        (BootReason.UNKNOWN, "StartupOfTheDevice"),
        (BootReason.REMOTE_RESET, "ResetOrReboot"),
        (BootReason.APPLICATION_RESET, "ResetOrReboot"),
        (BootReason.WATCHDOG, "ResetOrReboot"),
    ],
)
def test_a_boot_is_named_by_its_reason(reason: BootReason, name: str) -> None:
    assert started(reason) == SecurityEventRaised(name, reason.value)


@pytest.mark.parametrize(
    ("refusal", "name"),
    [
        (DialRefusal.CREDENTIALS, "FailedToAuthenticateAtCsms"),
        (DialRefusal.CERTIFICATE, "InvalidCsmsCertificate"),
        (DialRefusal.TLS_VERSION, "InvalidTLSVersion"),
        (DialRefusal.CIPHER_SUITE, "InvalidTLSCipherSuite"),
    ],
)
def test_a_refused_dial_is_told_once_until_a_link_comes_to_be(
    refusal: DialRefusal, name: str
) -> None:
    bench = Bench()
    for _ in range(3):
        bench.post(DialFailed(0, refusal, "why"))
        bench.wait(400.0)
    assert told(bench) == [(name, "why")]
    bench.connect()
    bench.post(LinkDown("lost"))
    bench.wait(400.0)
    bench.post(DialFailed(0, refusal, "again"))
    assert told(bench) == [(name, "why"), (name, "again")]


def test_two_kinds_of_refusal_in_a_row_are_two_events() -> None:
    bench = Bench()
    for refusal in (DialRefusal.CERTIFICATE, DialRefusal.TLS_VERSION, DialRefusal.CERTIFICATE):
        bench.post(DialFailed(0, refusal, ""))
        bench.wait(400.0)
    assert [name for name, _ in told(bench)] == ["InvalidCsmsCertificate", "InvalidTLSVersion"]


@pytest.mark.parametrize(
    "refusal", sorted(set(DialRefusal) - set(security.DIAL_EVENTS), key=str)
)
def test_an_unreachable_csms_is_no_matter_of_security(refusal: DialRefusal) -> None:
    bench = Bench()
    assert not logged(bench.post(DialFailed(0, refusal, "why")))


def test_frames_that_are_no_ocpp_are_logged_once_a_minute() -> None:
    bench = Bench().ready()
    assert logged(bench.post(NOISE)) == [("InvalidMessages", False)]
    assert not logged(bench.post(NOISE))
    bench.wait(STORM_S)
    assert logged(bench.post(NOISE)) == [("InvalidMessages", False)]
    assert not told(bench)


def test_a_disk_that_cannot_write_is_told_when_it_can() -> None:
    bench = Bench()
    bench.post(StorageFailed("disk full"))
    assert told(bench) == [("MemoryExhaustion", "disk full")]


@pytest.mark.parametrize(("by_s", "is_told"), [(21.0, True), (-3600.0, True), (19.0, False)])
def test_a_step_of_the_clock_is_told_if_anybody_would_notice(
    by_s: float, is_told: bool
) -> None:
    bench = Bench().ready()
    bench.post(HeartbeatAnswered(WALL_S + bench.now_s + by_s))
    expected = [("SettingSystemTime", f"by {by_s:+.0f} s")] if is_told else []
    assert told(bench) == expected


def test_to_learn_the_time_is_no_step_of_the_clock() -> None:
    bench = Bench(wall_s=None)
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    bench.post(BootAnswered(RegistrationStatus.ACCEPTED, 300, WALL_S))
    assert not told(bench)
