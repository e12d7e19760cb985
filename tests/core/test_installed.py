"""In which order the certificates of a kind are tried."""

from tests.support.certificates import STATION, online, provision
from tests.support.core import WALL_S, certificate_of


def test_the_newest_certificate_is_shown_first_and_an_expired_one_last() -> None:
    bench = online()
    provision(bench, certificate_of("old", STATION, begins_s=WALL_S - 200.0))
    provision(bench, certificate_of("new", STATION, begins_s=WALL_S - 100.0))
    provision(
        bench, certificate_of("over", STATION, begins_s=WALL_S - 50.0, ends_s=WALL_S - 1.0)
    )
    own = bench.station.certificates.own
    assert [one.fingerprint for one in own(WALL_S)] == ["new", "old", "over"]
    assert [one.fingerprint for one in own(None)] == ["over", "new", "old"]
