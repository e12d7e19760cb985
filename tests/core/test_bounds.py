"""Bounds on the station and on its EVSEs."""

from agent.core.bounds import Site, external
from agent.core.effects import Done, LimitTold, Note, Verdict
from agent.core.events import (
    ExternalLimitCleared,
    ExternalLimitSet,
    GridInputChanged,
    LinkDown,
    Origin,
    SettingsWriteRequested,
)
from agent.core.setpoint import limits
from agent.core.station import deadline, targets
from agent.core.values import Bound, ExternalLimit, Limit, Terms
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


# --- from outside ---


def limited(bench: Bench, limit_a: float | None = None, **more) -> Bench:
    fields = {"origin": "ems", "valid_s": 60.0, **more}
    bench.post(ExternalLimitSet(bench.ids, limit_a=limit_a, **fields))
    return bench


def charging(evses: int = 1, **more) -> Bench:
    bench = Bench(evses, **more).ready(evses)
    for evse_id in range(1, evses + 1):
        bench.charge(evse_id)
    return bench


def told(bench: Bench) -> list[tuple[str, int, bool]]:
    return [(m.origin, m.evse_id, m.bound is not None) for m in bench.told(LimitTold)]


def test_a_limit_from_outside_holds_at_once_and_names_its_origin() -> None:
    bench = limited(charging(), 10.0)
    assert offers(bench) == [10.0]
    assert Limit("share", 10.0) in limits(bench.station.evses[1])
    bench = limited(charging(2), 10.0, evse_id=2)
    assert offers(bench) == [32.0, 10.0]
    assert Limit("ems", 10.0) in limits(bench.station.evses[2])


def test_power_counts_over_all_evses() -> None:
    bench = limited(charging(2), limit_w=11_040.0)
    bench.wait(6.0)
    assert offers(bench) == [8.0, 8.0]


def test_a_source_that_falls_silent_leaves_the_safe_current() -> None:
    bench = limited(charging(site=Site(safe_a=8.0)), 16.0)
    bench.wait(59.0)
    limited(bench, 16.0)
    bench.wait(59.9)
    assert offers(bench) == [16.0]
    bench.wait(0.2)
    assert offers(bench) == [8.0]
    limited(bench, 16.0)
    bench.wait(5.0)
    assert offers(bench) == [16.0]


def test_a_cleared_limit_holds_no_more() -> None:
    bench = limited(charging(), 10.0)
    limited(bench, 9.0, evse_id=1)
    bench.post(ExternalLimitCleared(7, "ems"))
    assert bench.reply(7) == Done(Verdict.ACCEPTED)
    bench.wait(5.0)
    assert offers(bench) == [32.0]


def test_of_several_places_one_can_be_cleared() -> None:
    bench = limited(limited(charging(), 20.0), 9.0, evse_id=1)
    bench.post(ExternalLimitCleared(7, "ems", evse_id=1))
    bench.wait(5.0)
    assert offers(bench) == [20.0]


def test_what_is_not_in_force_cannot_be_cleared() -> None:
    bench = charging()
    bench.post(ExternalLimitCleared(7, "ems"))
    refusal = "no limit of ems is in force"
    assert bench.reply(7) == Done(Verdict.REJECTED, "NotFound", refusal)


def test_a_limit_for_nobody_or_in_the_name_of_the_station_is_refused() -> None:
    bench = charging()
    for request_id, fields, why in (
        (91, {"evse_id": 2}, "there are EVSEs 1 to 1"),
        (92, {"origin": "fuse"}, "origin fuse stands for a limit of the station itself"),
    ):
        event = ExternalLimitSet(request_id, **{"origin": "ems", "valid_s": 9.0, **fields})
        bench.post(event)
        assert bench.reply(request_id) == Done(Verdict.REJECTED, "InvalidValue", why)
    assert offers(bench) == [32.0]


def test_where_only_the_csms_and_the_grid_operator_limit_a_manager_is_told_so() -> None:
    bench = limited(Bench(site=Site(grid_w=11_040.0)).ready(), 8.0)
    bench.factory = {"SmartChargingCtrlr.ExternalControlSignalsEnabled": "false"}
    bench.power_cut()
    assert bench.station.outside.given == {}, "what was set before counts no more"
    bench.ready()
    bench.charge()
    bench.post(GridInputChanged(active=False))
    bench.wait(10.0)
    bench.post(ExternalLimitSet(901, "ems", 60.0, 0, limit_a=10.0))
    refusal = "SmartChargingCtrlr.ExternalControlSignalsEnabled is false"
    assert bench.reply(901) == Done(Verdict.REJECTED, "InvalidValue", refusal)
    assert offers(bench) == [32.0]
    bench.post(GridInputChanged(active=True))
    assert offers(bench) == [16.0]


def test_the_number_of_limits_is_bounded_and_renewing_is_always_possible() -> None:
    bench = charging()
    for number in range(33):
        limited(bench, 20.0, origin=f"ems-{number}")
    assert len(bench.station.outside.given) == 32
    limited(bench, 10.0, origin="ems-0")
    assert offers(bench) == [10.0]


def test_after_a_power_cut_the_safe_current_holds_until_the_source_speaks() -> None:
    bench = limited(Bench(site=Site(safe_a=7.0)).ready(), 20.0)
    bench.power_cut()
    bench.ready()
    bench.charge()
    assert offers(bench) == [7.0]
    limited(bench, 20.0)
    bench.wait(5.0)
    assert offers(bench) == [20.0]
    bench.post(ExternalLimitCleared(7, "ems"))
    bench.power_cut()
    assert bench.station.outside.given == {}


def test_renewing_and_regulating_write_nothing() -> None:
    bench = limited(charging(), 20.0)
    saved = {name: dict(values) for name, values in bench._rows.items()}
    for limit_a in (20.0, 15.0, 12.5):
        limited(bench, limit_a)
    assert {name: dict(values) for name, values in bench._rows.items()} == saved
    assert offers(bench) == [12.5]


def test_every_change_is_noted_for_people() -> None:
    bench = limited(limited(charging(), 20.0), limit_w=4_200.0, evse_id=1)
    limited(bench, 20.0)
    bench.wait(70.0)
    bench.post(ExternalLimitCleared(7, "ems"))
    notes = [note.text for note in bench.told(Note) if note.kind == "limit"]
    assert notes == [
        "ems limits the station to 20 A",
        "ems limits EVSE 1 to 4200 W",
        "ems is silent: the safe current holds for the station",
        "ems is silent: the safe current holds for EVSE 1",
        "ems/0 is cleared",
        "ems/1 is cleared",
    ]


# --- the grid operator ---


def test_an_input_of_the_grid_operator_counts_as_active_until_it_has_spoken() -> None:
    bench = charging(site=Site(grid_w=4_830.0))
    assert offers(bench) == [7.0]
    bench.post(GridInputChanged(active=False))
    bench.wait(5.0)
    assert offers(bench) == [32.0]
    bench.post(GridInputChanged(active=True))
    assert offers(bench) == [7.0]
    assert told(bench) == [("grid", 0, True)]
    bench.post(GridInputChanged(active=True))
    bench.post(GridInputChanged(active=False))
    assert told(bench) == [("grid", 0, True), ("grid", 0, False)]


# --- telling ---


def test_the_csms_is_told_what_changes_by_more_than_a_little() -> None:
    bench = charging()
    for limit_a in (20.0, 21.9, 18.1, 17.0):
        limited(bench, limit_a)
    assert told(bench) == [("ems", 0, True)] * 2
    limited(bench, limit_w=9_000.0)
    assert told(bench) == [("ems", 0, True)] * 3
    bench.post(ExternalLimitCleared(7, "ems"))
    assert told(bench)[3:] == [("ems", 0, False)]


def test_out_of_reach_only_the_end_is_told() -> None:
    bench = charging()
    bench.post(LinkDown("gone"))
    limited(bench, 20.0)
    limited(bench, 10.0, evse_id=1)
    bench.post(ExternalLimitCleared(7, "ems", evse_id=1))
    assert told(bench) == []
    bench.connect()
    assert told(bench) == [("ems", 0, True)]


# --- asking ---


def test_what_others_limit_is_named_with_its_source() -> None:
    """2.0.1 K09; fuse and offline limit are the station's own."""
    bench = limited(Bench(2, site=Site(fuse_a=32.0, grid_w=4200.0, safe_a=7.0)).ready(2), 16.0)
    limited(bench, limit_w=3000.0, evse_id=2, valid_s=9.0)
    bench.wait(10.0)
    state, site = bench.station.outside, bench.site
    grid = ExternalLimit(0, "SO", Bound("grid", limit_w=4200.0))
    others = (
        ExternalLimit(0, "EMS", Bound("ems", limit_a=16.0)),
        ExternalLimit(2, "EMS", Bound("ems", limit_a=7.0)),
    )
    assert external(state, site) == (grid, *others)
    bench.post(GridInputChanged(active=False))
    assert external(bench.station.outside, site) == others
    assert external(Bench().station.outside, Site()) == ()
