"""Bounds on the station and on its EVSEs."""

from agent.core.bounds import Site
from agent.core.events import LinkDown, Origin, SettingsWriteRequested
from agent.core.setpoint import limits
from agent.core.smart_charging.allocation import Terms
from agent.core.station import deadline, targets
from agent.core.values import Limit
from tests.support.core import Bench


def offers(bench: Bench) -> list[float]:
    return [target.offer_a for target in targets(bench.station).evses.values()]


def offline_limit(limit_a: int) -> Bench:
    bench = Bench(SmartChargingCtrlr__OfflineLimit=str(limit_a)).ready()
    bench.charge()
    return bench


def test_a_fuse_is_shared_among_those_who_charge() -> None:
    bench = Bench(2, site=Site(fuse_a=32.0, terms=Terms())).ready(2)
    bench.charge(1)
    assert offers(bench) == [32.0, 0.0]
    bench.charge(2)
    bench.wait(6.0)
    assert offers(bench) == [16.0, 16.0]
    assert Limit("share", 16.0) in limits(bench.station.evses[1])


def test_a_short_outage_changes_nothing() -> None:
    bench = offline_limit(10)
    bench.post(LinkDown("gone"))
    bench.wait(59.0)
    assert offers(bench) == [32.0]
    bench.connect()
    bench.wait(120.0)
    assert offers(bench) == [32.0]


def test_a_long_outage_brings_the_offline_limit_and_the_link_takes_it_away() -> None:
    bench = offline_limit(10)
    bench.post(LinkDown("gone"))
    bench.wait(60.0)
    assert offers(bench) == [10.0]
    assert Limit("offline", 10.0) in limits(bench.station.evses[1])
    bench.connect()
    bench.wait(5.0)
    assert offers(bench) == [32.0]


def test_an_offline_limit_of_nothing_is_a_pause() -> None:
    bench = offline_limit(0)
    bench.post(LinkDown("gone"))
    bench.wait(60.0)
    assert offers(bench) == [0.0]


def test_a_limit_that_is_set_during_an_outage_holds_at_once() -> None:
    bench = offline_limit(80)
    bench.post(LinkDown("gone"))
    bench.wait(100.0)
    change = (("SmartChargingCtrlr.OfflineLimit", "8"),)
    bench.post(SettingsWriteRequested(1, change, Origin.LOCAL))
    assert offers(bench) == [8.0]


def test_after_a_boot_the_outage_counts_anew() -> None:
    bench = Bench(SmartChargingCtrlr__OfflineLimit="10", OfflineTxForUnknownIdEnabled="true")
    assert bench.station.outside.offline_s == 0.0
    assert not bench.station.outside.is_offline
    bench.wait(60.0)
    assert bench.station.outside.is_offline
    assert deadline(bench.station) != 60.0
    bench.power_cut()
    assert not bench.station.outside.is_offline
