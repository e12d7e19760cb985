"""How the station comes to a certificate of its own, and keeps one that works."""

import pytest

from agent.core import variables
from agent.core.effects import (
    CertificateSigningWanted,
    CertificateStatus,
    Done,
    DropCertificate,
    DropKey,
    KeepStationCertificate,
    MakeSigningRequest,
    Verdict,
)
from agent.core.events import (
    CertificateKept,
    CertificateRefused,
    CertificatesLost,
    LinkDown,
    LinkUp,
    MessageFailed,
    RootOffered,
    SettingsWriteRequested,
    SigningAnswered,
    SigningRequestMade,
    StationCertificateOffered,
    TriggerKind,
    TriggerRequested,
)
from agent.core.installed import MOST_JOBS
from agent.core.signing import LOOK_S, PENDING_S, RENEW_BEFORE_S
from tests.support.certificates import (
    CSMS,
    STATION,
    answer,
    installed,
    logged,
    online,
    provision,
    status,
    told,
)
from tests.support.core import WALL_S, Bench, certificate_of

DAY_S = 86_400.0


def trigger(bench: Bench, request_id: int = 1) -> MakeSigningRequest:
    bench.post(TriggerRequested(request_id, TriggerKind.CERTIFICATE))
    ask = bench.told(MakeSigningRequest)[-1]
    assert isinstance(ask, MakeSigningRequest)
    return ask


def requested(**settings: str) -> Bench:
    """Return a station whose request the CSMS has accepted."""
    bench = online(**settings)
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.post(SigningAnswered(is_accepted=True))
    return bench


def wanted(bench: Bench) -> int:
    """Return how often the CSMS was asked."""
    return len(bench.told(CertificateSigningWanted))


def test_a_trigger_leads_to_a_request_after_its_answer() -> None:
    bench = online()
    _, ask = bench.post(TriggerRequested(1, TriggerKind.CERTIFICATE))
    assert bench.reply(1) == Done(Verdict.ACCEPTED)
    assert isinstance(ask, MakeSigningRequest)
    assert (ask.common_name, ask.organization, ask.algorithm) == (
        "EX-0001",
        "Example CPO",
        "EC-P256",
    )
    assert bench.post(SigningRequestMade(ask.key_id, "csr")) == [
        CertificateSigningWanted("csr")
    ]


def test_without_an_operators_name_no_certificate_is_asked_for() -> None:
    bench = Bench().ready()
    bench.post(TriggerRequested(1, TriggerKind.CERTIFICATE))
    outcome = bench.reply(1)
    assert isinstance(outcome, Done)
    assert outcome.verdict is Verdict.REJECTED
    assert bench.told(MakeSigningRequest) == []


def test_a_new_trigger_replaces_the_request_before_it() -> None:
    bench = online()
    first, second = trigger(bench, 1), trigger(bench, 2)
    assert DropKey(first.key_id) in bench.effects
    assert bench.post(SigningRequestMade(first.key_id, "old")) == []
    assert bench.post(SigningRequestMade(second.key_id, "new")) == [
        CertificateSigningWanted("new")
    ]


@pytest.mark.parametrize("csr", ["", "x" * 5501])
def test_a_request_that_cannot_be_made_or_sent_is_forgotten(csr: str) -> None:
    bench = online()
    ask = trigger(bench)
    assert bench.post(SigningRequestMade(ask.key_id, csr)) == [DropKey(ask.key_id)]
    assert bench.station.certificates.pending is None


def test_a_request_that_is_rejected_is_not_repeated() -> None:
    bench = online()
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    assert DropKey(ask.key_id) in bench.post(SigningAnswered(is_accepted=False))
    bench.wait(PENDING_S)
    assert wanted(bench) == 1
    assert bench.post(SigningAnswered(is_accepted=True)) == []


def test_a_csms_that_does_not_know_the_message_is_not_asked_again() -> None:
    bench = online()
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    failed = MessageFailed(CertificateSigningWanted("csr"), "NotImplemented")
    assert DropKey(ask.key_id) in bench.post(failed)


def test_a_request_that_a_lost_link_took_with_it_is_sent_again() -> None:
    bench = online()
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    assert wanted(bench) == 2
    bench.post(SigningAnswered(is_accepted=True))
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    assert wanted(bench) == 2


def test_a_request_survives_a_power_cut() -> None:
    bench = online()
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.power_cut()
    bench.connect()
    assert wanted(bench) == 2
    pending = bench.station.certificates.pending
    assert pending is not None
    assert pending.key_id == ask.key_id


def test_a_power_cut_before_the_request_is_made_leaves_none() -> None:
    bench = online()
    trigger(bench)
    bench.power_cut()
    assert bench.station.certificates.pending is None


def test_a_certificate_that_does_not_come_is_asked_for_again_ever_more_rarely() -> None:
    bench = requested(
        **{variables.SIGNING_WAIT.name: "100", variables.SIGNING_REPEATS.name: "2"}
    )
    bench.wait(99.0)
    assert wanted(bench) == 1
    bench.wait(1.0)
    assert wanted(bench) == 2
    bench.post(SigningAnswered(is_accepted=True))
    bench.wait(199.0)
    assert wanted(bench) == 2
    bench.wait(1.0)
    assert wanted(bench) == 3
    bench.post(SigningAnswered(is_accepted=True))
    bench.wait(10_000.0)
    assert wanted(bench) == 3


def test_what_should_be_asked_again_offline_is_asked_when_the_link_is_back() -> None:
    bench = requested(**{variables.SIGNING_WAIT.name: "100"})
    bench.post(LinkDown("lost"))
    bench.wait(150.0)
    assert wanted(bench) == 1
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    assert wanted(bench) == 2


def test_a_request_is_given_up_after_a_day() -> None:
    bench = requested(**{variables.SIGNING_REPEATS.name: "0"})
    bench.wait(PENDING_S)
    assert bench.station.certificates.pending is None
    assert len(bench.told(DropKey)) == 1


def test_the_certificate_is_judged_by_the_roots_and_then_used() -> None:
    bench = requested()
    provision(bench, certificate_of("root"))
    pending = bench.station.certificates.pending
    assert pending is not None
    (ask,) = bench.post(StationCertificateOffered(2, "chain"))
    at_s = WALL_S + bench.now_s
    assert ask == KeepStationCertificate(2, "chain", pending.key_id, "EX-0001", ("root",), at_s)
    effects = bench.post(CertificateKept(2, certificate_of("own", STATION)))
    assert status(bench, 2) is CertificateStatus.ACCEPTED
    assert DropKey(pending.key_id) in effects
    assert logged(effects) == ["station certificate CN=own"]
    assert installed(bench, STATION) == ["own"]
    bench.post(StationCertificateOffered(3, "chain"))
    assert answer(bench, 3).info == "no certificate was asked for"


def test_a_certificate_that_proves_nothing_is_rejected_and_the_request_over() -> None:
    bench = requested()
    bench.post(StationCertificateOffered(2, "chain"))
    effects = bench.post(CertificateRefused(2, "it is for another key"))
    assert status(bench, 2) is CertificateStatus.REJECTED
    assert told(bench) == [("InvalidChargingStationCertificate", "it is for another key")]
    assert any(isinstance(effect, DropKey) for effect in effects)
    assert bench.station.certificates.pending is None


def test_a_disk_that_refuses_a_certificate_leaves_the_request_open() -> None:
    bench = requested()
    bench.post(StationCertificateOffered(2, "chain"))
    bench.post(CertificateRefused(2, "disk full", is_failure=True))
    assert status(bench, 2) is CertificateStatus.FAILED
    assert bench.station.certificates.pending is not None


def test_a_request_that_is_over_when_its_certificate_is_refused_leaves_nothing() -> None:
    bench = requested(**{variables.SIGNING_REPEATS.name: "0"})
    bench.post(StationCertificateOffered(2, "chain"))
    bench.wait(PENDING_S)
    effects = bench.post(CertificateRefused(2, "bad"))
    assert not any(isinstance(effect, DropKey) for effect in effects)
    bench = requested(**{variables.SIGNING_REPEATS.name: "0"})
    bench.post(StationCertificateOffered(2, "chain"))
    bench.wait(PENDING_S)
    bench.post(CertificateKept(2, certificate_of("own", STATION)))
    assert installed(bench, STATION) == ["own"]


def test_a_chain_that_is_too_long_is_not_even_looked_at() -> None:
    bench = requested(**{variables.CHAIN_LENGTH.name: "100"})
    bench.post(StationCertificateOffered(2, "x" * 101))
    assert answer(bench, 2).info == "the chain has more than 100 characters"
    assert told(bench)[0][0] == "InvalidChargingStationCertificate"


def test_a_certificate_is_not_judged_without_a_clock_nor_when_too_many_are() -> None:
    bench = Bench(wall_s=None, **{variables.ORGANIZATION_NAME.name: "Example CPO"})
    ask = trigger(bench)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.post(StationCertificateOffered(2, "chain"))
    assert "the time is not known" in answer(bench, 2).info
    bench = requested()
    for request_id in range(11, 11 + MOST_JOBS):
        bench.post(RootOffered(request_id, CSMS, "root"))
    bench.post(StationCertificateOffered(2, "chain"))
    assert "too many" in answer(bench, 2).info


def test_of_three_certificates_of_its_own_the_station_keeps_two() -> None:
    bench = online()
    for request_id, name in enumerate(("a", "b", "c"), 1):
        ask = trigger(bench, request_id)
        bench.post(SigningRequestMade(ask.key_id, "csr"))
        bench.post(SigningAnswered(is_accepted=True))
        bench.post(StationCertificateOffered(10 + request_id, "chain"))
        certificate = certificate_of(name, STATION, begins_s=WALL_S + request_id)
        bench.post(CertificateKept(10 + request_id, certificate))
    assert installed(bench, STATION) == ["c", "b"]
    assert DropCertificate(STATION, "a") in bench.effects


def test_a_renewed_certificate_that_did_not_work_is_discarded() -> None:
    bench = online()
    provision(bench, certificate_of("old", STATION, begins_s=WALL_S - 200.0))
    provision(bench, certificate_of("new", STATION, begins_s=WALL_S - 100.0))
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "wss://csms", 3, certificate="old"))
    assert installed(bench, STATION) == ["old"]
    assert told(bench) == [("DiscardedRenewedClientCertificate", "CN=new")]
    assert DropCertificate(STATION, "new") in bench.effects


def test_a_renewed_certificate_that_works_leaves_the_older_one_to_fall_back_on() -> None:
    bench = online()
    provision(bench, certificate_of("old", STATION, begins_s=WALL_S - 200.0))
    provision(bench, certificate_of("new", STATION, begins_s=WALL_S - 100.0))
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "wss://csms", 3, certificate="new"))
    assert installed(bench, STATION) == ["new", "old"]


# --- renewal ---


def expiring(in_s: float, **settings: str) -> Bench:
    bench = Bench(**{variables.ORGANIZATION_NAME.name: "Example CPO", **settings})
    provision(bench, certificate_of("own", STATION, ends_s=WALL_S + in_s))
    return bench


def test_a_certificate_that_expires_within_a_month_is_renewed() -> None:
    bench = expiring(RENEW_BEFORE_S - 1.0)
    bench.connect()
    assert len(bench.told(MakeSigningRequest)) == 1
    bench.wait(LOOK_S)
    assert len(bench.told(MakeSigningRequest)) == 1


def test_a_certificate_is_looked_at_twice_a_day() -> None:
    bench = expiring(RENEW_BEFORE_S + LOOK_S)
    bench.connect()
    assert bench.told(MakeSigningRequest) == []
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "ws://csms", 0))
    bench.wait(LOOK_S + 100.0)
    assert len(bench.told(MakeSigningRequest)) == 1


def test_a_renewal_that_was_refused_is_tried_again_half_a_day_later() -> None:
    bench = expiring(DAY_S)
    bench.connect()
    (ask,) = bench.told(MakeSigningRequest)
    assert isinstance(ask, MakeSigningRequest)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.post(SigningAnswered(is_accepted=False))
    bench.wait(LOOK_S)
    assert len(bench.told(MakeSigningRequest)) == 2


@pytest.mark.parametrize("is_named", [True, False])
def test_nothing_is_renewed_without_a_certificate_or_a_name(is_named: bool) -> None:
    bench = expiring(DAY_S, **({} if is_named else {variables.ORGANIZATION_NAME.name: ""}))
    if is_named:
        bench.post(CertificatesLost((certificate_of("own", STATION).key,)))
    bench.connect()
    bench.wait(2 * LOOK_S)
    assert bench.told(MakeSigningRequest) == []


def test_a_name_that_comes_later_lets_the_next_look_renew() -> None:
    bench = expiring(DAY_S, **{variables.ORGANIZATION_NAME.name: ""})
    bench.connect()
    bench.post(SettingsWriteRequested(1, (("CpoName", "Example CPO"),)))
    bench.wait(LOOK_S)
    assert len(bench.told(MakeSigningRequest)) == 1


def test_a_certificate_that_is_lost_while_it_waits_for_a_look_is_looked_at_no_more() -> None:
    bench = expiring(RENEW_BEFORE_S * 2)
    bench.connect()
    bench.post(CertificatesLost((certificate_of("own", STATION).key,)))
    bench.wait(2 * LOOK_S)
    assert bench.station.certificates.look_at_s is None
