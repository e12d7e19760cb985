import pytest
from msgspec.structs import replace

from agent.core import variables
from agent.core.credentials import Changed, Credentials, Network
from agent.core.installed import Certificates
from agent.core.timebase import EARLIEST_WALL_S, Timebase
from agent.core.trust import CertificateKind
from agent.core.values import Stamp
from agent.core.variables import password_text
from agent.runtime.credentials import AGREES_S, installed, presented, shown
from agent.security.keystore import Keystore
from agent.transport.link import DialTarget, TrustedTime
from tests.support.core import WALL_S, certificate_of
from tests.support.shell import station

TARGET = DialTarget("wss://csms/ocpp", "CP001", ("ocpp2.0.1", "ocpp1.6"), 2, b"p")


@pytest.mark.parametrize(
    ("protocols", "setting", "allowed"),
    [
        (("ocpp2.0.1",), "false", False),
        (("ocpp2.0.1", "ocpp1.6"), "false", False),
        (("ocpp2.0.1", "ocpp1.6"), "true", True),
        (("ocpp1.6",), "false", True),
    ],
)
def test_wildcards_are_allowed_by_setting_and_where_only_16_is_spoken(
    protocols, setting, allowed
):
    present = station(**{variables.ALLOW_WILDCARDS.name: setting})
    target = replace(TARGET, protocols=protocols)
    assert presented(target, 0, present, Stamp(1, 0.0), None).allow_wildcards is allowed


@pytest.mark.parametrize(
    ("offset_s", "system_s", "time"),
    [
        (WALL_S, WALL_S + 10.0, None),
        (WALL_S, WALL_S + AGREES_S + 11.0, TrustedTime(WALL_S + 10.0, is_known=True)),
        (WALL_S, None, TrustedTime(WALL_S + 10.0, is_known=True)),
        (None, None, TrustedTime(EARLIEST_WALL_S, is_known=False)),
        (None, 0.0, TrustedTime(EARLIEST_WALL_S, is_known=False)),
    ],
)
def test_the_system_clock_counts_while_it_agrees_with_the_stations(offset_s, system_s, time):
    present = replace(station(), timebase=Timebase(boot=1, offset_s=offset_s))
    assert presented(TARGET, 0, present, Stamp(1, 10.0, system_s), None).time == time


ROOT = certificate_of("aa", CertificateKind.MANUFACTURER_ROOT)


def test_the_installed_roots_of_a_kind_are_files_of_the_keystore(tmp_path):
    present = replace(station(), certificates=Certificates({ROOT.key: ROOT}))
    keystore, kind = Keystore(tmp_path), CertificateKind.MANUFACTURER_ROOT
    assert installed(present, kind, keystore) == (keystore.certificate(kind, "aa"),)
    assert installed(present, CertificateKind.CSMS_ROOT, keystore) == ()
    assert installed(present, kind, None) == ()


def known(tmp_path, profile, **changed):
    """Return what is dialed by a station whose credentials were changed."""
    own, root = certificate_of("own", CertificateKind.STATION), certificate_of("root")
    present = replace(
        station(),
        certificates=Certificates({own.key: own, root.key: root}),
        credentials=Credentials((Network(profile, has_password=True),), Changed(**changed)),
    )
    target = replace(TARGET, url="ws://csms:8080/ocpp?x=1", security_profile=profile)
    return presented(target, 0, present, Stamp(1, 0.0), Keystore(tmp_path))


def test_a_station_that_was_raised_to_tls_dials_the_usual_port(tmp_path):
    assert known(tmp_path, 1).url == "ws://csms:8080/ocpp?x=1"
    raised = known(tmp_path, 1, security_profile=2)
    assert (raised.url, raised.security_profile) == ("wss://csms/ocpp?x=1", 2)
    assert raised.certificate is None


def test_a_changed_password_wins_over_the_configured(tmp_path):
    assert known(tmp_path, 1).password == b"p"
    assert known(tmp_path, 1, password=password_text(bytes(20))).password == bytes(20)


def test_only_profile_3_shows_a_certificate_and_names_it(tmp_path):
    target = known(tmp_path, 1, security_profile=3)
    assert target.certificate == tmp_path / "certificates" / "station" / "own.pem"
    assert target.key == tmp_path / "certificates" / "station" / "own.key"
    assert target.roots == (tmp_path / "certificates" / "csms-roots" / "root.pem",)
    assert shown(target) == "own"
    assert shown(known(tmp_path, 1)) == ""


def test_an_address_of_ipv6_keeps_its_brackets(tmp_path):
    present = replace(
        station(), credentials=Credentials((Network(0),), Changed(security_profile=2))
    )
    target = replace(TARGET, url="ws://[::1]:8080/ocpp", security_profile=0)
    assert presented(target, 0, present, Stamp(1, 0.0), None).url == "wss://[::1]/ocpp"
