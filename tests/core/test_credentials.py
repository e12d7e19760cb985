"""What the station dials with, and that no change of it locks the station out."""

import pytest

from agent.core import variables
from agent.core.credentials import TRIAL_DIALS, Network, Presented
from agent.core.effects import (
    CloseLink,
    MakeSigningRequest,
    SecurityLogged,
    SettingsAnswer,
    SettingStatus,
)
from agent.core.events import (
    CertificateKept,
    CertificatesProvisioned,
    DeadlinePassed,
    DialFailed,
    DialRefusal,
    LinkDown,
    LinkHeld,
    LinkUp,
    SettingsReadRequested,
    SettingsWriteRequested,
    SigningRequestMade,
    StationCertificateOffered,
    TriggerKind,
    TriggerRequested,
)
from agent.core.trust import CertificateKind
from agent.core.variables import password_text
from tests.support.core import WALL_S, Bench, certificate_of

KEY = "4F43415F4F4354545F61646D696E5F74657374"
KEY_TEXT = password_text(b"OCA_OCTT_admin_test")
OTHER_TEXT = password_text(b"another_password")
STATION = CertificateKind.STATION


def linked(profile: int = 1, *, has_password: bool = True, **settings: str) -> Bench:
    """Return a station that is online with a security profile."""
    bench = Bench(networks=(Network(profile, has_password),), **settings).ready()
    bench.post(LinkDown("lost"))
    up(bench)
    return bench


def up(bench: Bench, network: int = 0) -> None:
    """Let a dial succeed with what the station presents."""
    shown = presented(bench, network)
    url = "wss://csms" if shown.security_profile > 1 else "ws://csms"
    bench.post(
        LinkUp(
            network,
            "ocpp1.6",
            url,
            shown.security_profile,
            root=shown.roots[0] if shown.roots and shown.security_profile > 1 else "",
            certificate=shown.certificate if shown.security_profile == 3 else "",
        )
    )


def down(bench: Bench) -> None:
    bench.post(LinkDown("closed"))


def refuse(bench: Bench, refusal: DialRefusal = DialRefusal.CREDENTIALS) -> None:
    """Let the next dial fail."""
    while not bench.station.connection.is_dialing:
        due = bench.station.connection.dial_at_s
        assert due is not None
        bench.now_s = due
        bench.post(DeadlinePassed())
    bench.post(DialFailed(bench.station.connection.profile, refusal, "refused"))


def presented(bench: Bench, network: int = 0) -> Presented:
    return bench.station.presented(network, WALL_S + bench.now_s)


def write(bench: Bench, key: str, value: str, request_id: int = 1) -> SettingStatus:
    bench.post(SettingsWriteRequested(request_id, ((key, value),)))
    outcome = bench.reply(request_id)
    assert isinstance(outcome, SettingsAnswer)
    (result,) = outcome.results
    assert result.value is None or key == "CpoName"
    return result.status


def provision(bench: Bench, *kinds: CertificateKind, ends_s: float = WALL_S + 1e6) -> None:
    found = tuple(certificate_of(kind.value, kind, ends_s=ends_s) for kind in kinds)
    bench.post(CertificatesProvisioned(f"{kinds} {ends_s}", found))


def reconfigured(bench: Bench) -> list[str]:
    return [
        item.tech_info
        for item in bench.told(SecurityLogged)
        if isinstance(item, SecurityLogged)
        and item.type == "ReconfigurationOfSecurityParameters"
    ]


# --- the password ---


def test_a_new_key_is_answered_then_the_link_left_and_dialed_again_at_once() -> None:
    bench = linked(1)
    before = len(bench.told(CloseLink))
    assert write(bench, "AuthorizationKey", KEY) is SettingStatus.ACCEPTED
    assert len(bench.told(CloseLink)) == before + 1
    down(bench)
    assert bench.station.connection.is_dialing
    assert presented(bench).password == KEY_TEXT
    assert reconfigured(bench) == ["SecurityCtrlr.BasicAuthPassword"]


def test_a_key_is_never_read_nor_told() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", KEY)
    bench.post(SettingsReadRequested(2, ("AuthorizationKey",)))
    outcome = bench.reply(2)
    assert isinstance(outcome, SettingsAnswer)
    assert (outcome.results[0].status, outcome.results[0].value) == (
        SettingStatus.REJECTED,
        None,
    )
    seen = repr(bench.effects) + repr(bench.station.settings)
    assert KEY not in seen
    assert KEY_TEXT not in seen
    assert "OCA_OCTT" not in seen


def test_the_same_key_again_changes_nothing() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", KEY)
    down(bench)
    up(bench)
    closed = len(bench.told(CloseLink))
    assert write(bench, "AuthorizationKey", KEY, 2) is SettingStatus.ACCEPTED
    assert len(bench.told(CloseLink)) == closed


@pytest.mark.parametrize("profile", [0, 3])
def test_a_key_that_the_present_link_does_not_use_leaves_it_alone(profile: int) -> None:
    bench = linked(profile)
    provision(bench, CertificateKind.CSMS_ROOT, STATION)
    assert write(bench, "AuthorizationKey", KEY) is SettingStatus.ACCEPTED
    assert bench.told(CloseLink) == []
    assert presented(bench).password == KEY_TEXT


def test_a_key_that_is_refused_takes_turns_with_those_before_it() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", "another_password")
    down(bench)
    up(bench)
    write(bench, "AuthorizationKey", KEY, 2)
    down(bench)
    shown = []
    for _ in range(4):
        shown.append(presented(bench).password)
        refuse(bench)
    assert shown == [KEY_TEXT, OTHER_TEXT, "", KEY_TEXT]


def test_a_key_that_worked_is_the_only_one_but_the_configured() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", "another_password")
    down(bench)
    up(bench)
    write(bench, "AuthorizationKey", KEY, 2)
    down(bench)
    up(bench)
    assert bench.station.credentials.passwords(0) == (KEY_TEXT, "")


def test_a_key_before_it_that_works_is_kept_and_tried_first() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", "another_password")
    down(bench)
    up(bench)
    write(bench, "AuthorizationKey", KEY, 2)
    down(bench)
    refuse(bench)
    up(bench)
    assert bench.station.credentials.passwords(0) == (KEY_TEXT, OTHER_TEXT, "")
    down(bench)
    assert presented(bench).password == OTHER_TEXT


def test_an_unreachable_csms_is_no_reason_to_try_another_key() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", KEY)
    down(bench)
    refuse(bench, DialRefusal.UNREACHABLE)
    assert presented(bench).password == KEY_TEXT


def test_a_key_and_the_one_before_it_survive_a_power_cut() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", KEY)
    bench.power_cut()
    assert bench.station.credentials.passwords(0) == (KEY_TEXT, "")


def test_a_station_without_a_configured_password_has_none_to_fall_back_on() -> None:
    bench = linked(0, has_password=False)
    assert bench.station.credentials.passwords(0) == ("",)
    write(bench, "AuthorizationKey", KEY)
    assert bench.station.credentials.passwords(0) == (KEY_TEXT,)


@pytest.mark.parametrize("value", ["short", "x" * 41, "hex:zz", "hex:00"])
def test_what_is_no_password_is_rejected(value: str) -> None:
    bench = linked(1)
    assert write(bench, "AuthorizationKey", value) is SettingStatus.REJECTED
    assert presented(bench).password == ""


def test_while_somebody_holds_the_link_down_a_new_key_waits() -> None:
    bench = linked(1)
    write(bench, "AuthorizationKey", KEY)
    bench.post(LinkHeld(held=True))
    down(bench)
    assert not bench.station.connection.is_dialing
    bench.post(LinkHeld(held=False))
    assert bench.station.connection.is_dialing
    assert bench.station.connection.redial is None


# --- the security profile ---


@pytest.mark.parametrize(
    ("present", "wanted", "needs", "status"),
    [
        (1, "1", (), SettingStatus.REJECTED),
        (2, "1", (), SettingStatus.REJECTED),
        (2, "0", (), SettingStatus.REJECTED),
        (1, "4", (), SettingStatus.REJECTED),
        (1, "-1", (), SettingStatus.REJECTED),
        (1, "2", (), SettingStatus.REJECTED),
        (1, "2", (CertificateKind.CSMS_ROOT,), SettingStatus.ACCEPTED),
        (2, "3", (CertificateKind.CSMS_ROOT,), SettingStatus.REJECTED),
        (2, "3", (STATION,), SettingStatus.REJECTED),
        (2, "3", (CertificateKind.CSMS_ROOT, STATION), SettingStatus.ACCEPTED),
        (0, "1", (), SettingStatus.ACCEPTED),
        (0, "3", (CertificateKind.CSMS_ROOT, STATION), SettingStatus.ACCEPTED),
    ],
)
def test_a_profile_is_only_raised_and_only_with_what_it_needs(
    present: int, wanted: str, needs: tuple[CertificateKind, ...], status: SettingStatus
) -> None:
    bench = linked(present)
    if needs:
        provision(bench, *needs)
    assert write(bench, "SecurityProfile", wanted) is status


def test_a_password_profile_needs_a_password() -> None:
    bench = linked(0, has_password=False)
    assert write(bench, "SecurityProfile", "1") is SettingStatus.REJECTED
    write(bench, "AuthorizationKey", KEY, 2)
    assert write(bench, "SecurityProfile", "1", 3) is SettingStatus.ACCEPTED


def test_certificates_that_have_expired_do_not_count() -> None:
    bench = linked(2)
    provision(bench, CertificateKind.CSMS_ROOT)
    provision(bench, STATION, ends_s=WALL_S - 1.0)
    assert write(bench, "SecurityProfile", "3") is SettingStatus.REJECTED


def raised() -> Bench:
    """Return a station on its way from profile 1 to 2."""
    bench = linked(1)
    provision(bench, CertificateKind.CSMS_ROOT)
    assert write(bench, "SecurityProfile", "2") is SettingStatus.ACCEPTED
    down(bench)
    return bench


def test_a_raised_profile_is_dialed_at_once_and_kept_when_it_brings_a_link() -> None:
    bench = raised()
    assert bench.station.connection.is_dialing
    assert presented(bench).security_profile == 2
    up(bench)
    assert reconfigured(bench)[-1] == "SecurityProfile 2"
    for _ in range(TRIAL_DIALS + 1):
        down(bench)
        refuse(bench)
    assert presented(bench).security_profile == 2
    bench.power_cut()
    assert presented(bench).security_profile == 2
    assert bench.station.settings.text(variables.SECURITY_PROFILE) == "2"


def test_a_raised_profile_that_brings_no_link_is_taken_back() -> None:
    bench = raised()
    for _ in range(TRIAL_DIALS):
        assert presented(bench).security_profile == 2
        refuse(bench, DialRefusal.UNREACHABLE)
    assert presented(bench).security_profile == 1
    assert reconfigured(bench)[-1] == "SecurityProfile 2 taken back"
    up(bench)
    assert write(bench, "SecurityProfile", "2", 9) is SettingStatus.ACCEPTED


def test_the_trial_of_a_profile_survives_a_power_cut() -> None:
    bench = raised()
    refuse(bench, DialRefusal.UNREACHABLE)
    bench.power_cut()
    for _ in range(TRIAL_DIALS - 1):
        refuse(bench, DialRefusal.UNREACHABLE)
    assert presented(bench).security_profile == 1


def test_a_network_profile_that_was_made_for_it_is_dialed_first() -> None:
    networks = (Network(1, True), Network(1, True), Network(2, True))
    bench = Bench(profiles=3, networks=networks).ready()
    provision(bench, CertificateKind.CSMS_ROOT)
    bench.post(LinkDown("lost"))
    up(bench)
    assert write(bench, "SecurityProfile", "2") is SettingStatus.ACCEPTED
    down(bench)
    assert bench.station.connection.profile == 2
    assert [presented(bench, index).security_profile for index in range(3)] == [2, 2, 2]


def test_a_raised_profile_does_not_lower_a_higher_one() -> None:
    bench = Bench(profiles=2, networks=(Network(0, True), Network(3, True)))
    bench.hardware()
    bench.connect()
    assert write(bench, "SecurityProfile", "1") is SettingStatus.ACCEPTED
    assert [presented(bench, index).security_profile for index in range(2)] == [1, 3]


# --- certificates ---


def test_the_first_certificate_after_a_refusal_is_the_older_one() -> None:
    bench = linked(3)
    bench.post(
        CertificatesProvisioned("s", (certificate_of("old", STATION, begins_s=WALL_S - 9.0),))
    )
    bench.post(CertificatesProvisioned("t", (certificate_of("new", STATION, begins_s=WALL_S),)))
    down(bench)
    assert presented(bench).certificate == "new"
    refuse(bench)
    assert presented(bench).certificate == "old"
    up(bench)
    assert presented(bench).certificate == "old"


@pytest.mark.parametrize(("profile", "is_left"), [(2, False), (3, True)])
def test_a_new_certificate_is_shown_on_a_new_link(profile: int, is_left: bool) -> None:
    name = variables.ORGANIZATION_NAME.name
    bench = linked(profile, **{name: "Example CPO"})
    bench.post(TriggerRequested(1, TriggerKind.CERTIFICATE))
    ask = bench.told(MakeSigningRequest)[-1]
    assert isinstance(ask, MakeSigningRequest)
    bench.post(SigningRequestMade(ask.key_id, "csr"))
    bench.post(StationCertificateOffered(2, "chain"))
    effects = bench.post(CertificateKept(2, certificate_of("own", STATION)))
    assert any(isinstance(effect, CloseLink) for effect in effects) is is_left


def test_with_the_additional_check_the_new_root_is_tried_by_itself_then_the_old_one() -> None:
    bench = linked(2, **{variables.ROOT_CHECK.name: "true"})
    for name in ("a", "b"):
        bench.post(CertificatesProvisioned(name, (certificate_of(name),)))
    down(bench)
    assert presented(bench).roots == ("b",)
    refuse(bench, DialRefusal.CERTIFICATE)
    assert presented(bench).roots == ("a",)
    refuse(bench, DialRefusal.CERTIFICATE)
    assert presented(bench).roots == ("b",)


def test_otherwise_every_root_is_trusted() -> None:
    bench = linked(2)
    assert presented(bench).roots == ()
    for name in ("a", "b"):
        bench.post(CertificatesProvisioned(name, (certificate_of(name),)))
    assert presented(bench).roots == ("b", "a")
