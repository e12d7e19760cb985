"""Certificates: what is installed, and what stays."""

import pytest

from agent.core import variables
from agent.core.effects import (
    CertificateAnswer,
    CertificateStatus,
    DropCertificate,
    KeepRoot,
)
from agent.core.events import (
    CertificateDeletionRequested,
    CertificateKept,
    CertificateRefused,
    CertificatesLost,
    CertificatesRequested,
    LinkDown,
    LinkUp,
    RootOffered,
)
from agent.core.installed import MOST_JOBS
from agent.core.trust import CertificateKind
from tests.support.certificates import (
    CSMS,
    MANUFACTURER,
    STATION,
    answer,
    install,
    installed,
    logged,
    online,
    provision,
    status,
    told,
)
from tests.support.core import WALL_S, Bench, certificate_of, hash_data

# --- roots ---


def test_a_root_counts_once_it_is_on_the_disk() -> None:
    bench = online()
    (ask,) = bench.post(RootOffered(1, CSMS, "root"))
    assert ask == KeepRoot(1, CSMS, "root", "", WALL_S + bench.now_s)
    assert installed(bench) == []
    effects = bench.post(CertificateKept(1, certificate_of("root")))
    assert status(bench, 1) is CertificateStatus.ACCEPTED
    assert installed(bench) == ["root"]
    assert logged(effects) == ["csms-roots CN=root"]
    bench.power_cut()
    assert installed(bench) == ["root"]


def test_without_a_clock_the_dates_are_left_alone() -> None:
    bench = Bench(wall_s=None)
    (ask,) = bench.post(RootOffered(1, CSMS, "root"))
    assert isinstance(ask, KeepRoot)
    assert ask.at_s is None


def test_a_root_that_is_none_is_rejected_and_if_of_the_csms_an_event() -> None:
    bench = online()
    for request_id, kind in ((1, CSMS), (2, MANUFACTURER)):
        bench.post(RootOffered(request_id, kind, "bad"))
        bench.post(CertificateRefused(request_id, "it expired"))
        assert answer(bench, request_id) == CertificateAnswer(
            CertificateStatus.REJECTED, "InvalidCertificate", "it expired"
        )
    assert told(bench) == [("InvalidCsmsCertificate", "it expired")]


def test_a_disk_that_refuses_is_a_failure_and_no_event() -> None:
    bench = online()
    bench.post(RootOffered(1, CSMS, "root"))
    bench.post(CertificateRefused(1, "disk full", is_failure=True))
    assert status(bench, 1) is CertificateStatus.FAILED
    assert told(bench) == []


def test_the_same_root_again_is_accepted_and_there_once() -> None:
    bench = online()
    assert install(bench, 1, "root") is CertificateStatus.ACCEPTED
    assert install(bench, 2, "root") is CertificateStatus.ACCEPTED
    assert installed(bench) == ["root"]


def test_a_full_store_takes_no_more_roots_of_any_kind() -> None:
    bench = online(**{variables.CERTIFICATE_CAPACITY.name: "2"})
    install(bench, 1, "a")
    install(bench, 2, "b", MANUFACTURER)
    provision(bench, certificate_of("own", STATION))
    bench.post(RootOffered(3, CSMS, "c"))
    effects = bench.post(CertificateKept(3, certificate_of("c")))
    assert answer(bench, 3).reason == "NoFreeSpace"
    assert DropCertificate(CSMS, "c") in effects
    assert installed(bench) == ["a"]
    assert install(bench, 4, "a") is CertificateStatus.ACCEPTED


def test_only_so_many_certificates_are_looked_at_at_a_time() -> None:
    bench = online()
    for request_id in range(1, MOST_JOBS + 1):
        bench.post(RootOffered(request_id, CSMS, "root"))
    bench.post(RootOffered(99, CSMS, "root"))
    assert answer(bench, 99) == CertificateAnswer(CertificateStatus.FAILED, "Busy")


def test_an_echo_of_work_that_nobody_waits_for_changes_nothing() -> None:
    bench = online()
    assert bench.post(CertificateKept(7, certificate_of("x"))) == []
    assert bench.post(CertificateRefused(7, "x")) == []
    assert installed(bench) == []


def test_with_the_additional_check_a_new_root_has_to_be_signed_by_the_present_one() -> None:
    bench = online(**{variables.ROOT_CHECK.name: "true"})
    (first,) = bench.post(RootOffered(1, CSMS, "a"))
    assert isinstance(first, KeepRoot)
    assert first.signed_by == ""
    bench.post(CertificateKept(1, certificate_of("a")))
    (second,) = bench.post(RootOffered(2, CSMS, "b"))
    assert isinstance(second, KeepRoot)
    assert second.signed_by == "a"
    bench.post(CertificateKept(2, certificate_of("b")))
    (other,) = bench.post(RootOffered(3, MANUFACTURER, "m"))
    assert isinstance(other, KeepRoot)
    assert other.signed_by == ""


def test_with_the_additional_check_one_older_root_stays_to_fall_back_on() -> None:
    bench = online(**{variables.ROOT_CHECK.name: "true"})
    for request_id, name in enumerate("abc", 1):
        install(bench, request_id, name)
    assert installed(bench) == ["c", "b"]
    assert DropCertificate(CSMS, "a") in bench.told(DropCertificate)


def test_a_root_of_the_manufacturer_may_always_go() -> None:
    bench = online()
    install(bench, 1, "m", MANUFACTURER)
    bench.post(CertificateDeletionRequested(2, hash_data("m")))
    assert status(bench, 2) is CertificateStatus.ACCEPTED


# --- naming and removing ---


def test_installed_certificates_are_named_by_kind_and_never_the_stations_own() -> None:
    bench = online()
    provision(bench, certificate_of("own", STATION))
    install(bench, 1, "a")
    install(bench, 2, "m", MANUFACTURER)
    install(bench, 3, "b")
    bench.post(CertificatesRequested(4, (CSMS,)))
    bench.post(CertificatesRequested(5, ()))
    bench.post(CertificatesRequested(6, (CertificateKind.MO_ROOT,)))
    assert [one.fingerprint for one in answer(bench, 4).certificates] == ["a", "b"]
    assert [one.fingerprint for one in answer(bench, 5).certificates] == ["a", "b", "m"]
    assert answer(bench, 6) == CertificateAnswer(CertificateStatus.NOT_FOUND)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_a_root_is_removed_by_any_of_its_names(algorithm: str) -> None:
    bench = online()
    install(bench, 1, "a")
    effects = bench.post(CertificateDeletionRequested(2, hash_data("a", algorithm)))
    assert status(bench, 2) is CertificateStatus.ACCEPTED
    assert DropCertificate(CSMS, "a") in effects
    assert logged(effects) == ["removed csms-roots CN=a"]
    assert installed(bench) == []
    bench.post(CertificateDeletionRequested(3, hash_data("a", algorithm)))
    assert status(bench, 3) is CertificateStatus.NOT_FOUND


def test_the_root_that_the_present_link_relies_on_stays() -> None:
    bench = online()
    provision(bench, certificate_of("a"), certificate_of("b"))
    bench.post(LinkDown("lost"))
    bench.post(LinkUp(0, "ocpp1.6", "wss://csms", 2, root="a"))
    bench.post(CertificateDeletionRequested(1, hash_data("a")))
    bench.post(CertificateDeletionRequested(2, hash_data("b")))
    assert answer(bench, 1).info == "the present link relies on it"
    assert status(bench, 1) is CertificateStatus.FAILED
    assert status(bench, 2) is CertificateStatus.ACCEPTED
    bench.post(LinkDown("lost"))
    bench.post(CertificateDeletionRequested(3, hash_data("a")))
    assert answer(bench, 3).info == "it is the last one of a CSMS"


def test_without_tls_the_last_root_may_go() -> None:
    bench = online()
    provision(bench, certificate_of("a"))
    bench.post(CertificateDeletionRequested(1, hash_data("a")))
    assert status(bench, 1) is CertificateStatus.ACCEPTED


def test_the_stations_own_certificate_is_never_deleted() -> None:
    bench = online()
    provision(bench, certificate_of("own", STATION))
    bench.post(CertificateDeletionRequested(1, hash_data("own")))
    assert status(bench, 1) is CertificateStatus.FAILED
    assert installed(bench, STATION) == ["own"]


def test_what_was_provisioned_is_remembered_and_what_was_lost_forgotten() -> None:
    bench = online()
    provision(bench, certificate_of("a"), certificate_of("b"))
    bench.post(CertificatesLost((certificate_of("a").key,)))
    assert installed(bench) == ["b"]
    bench.power_cut()
    assert installed(bench) == ["b"]
    assert bench.station.certificates.provisioned == {"source csms-roots/a": True}
