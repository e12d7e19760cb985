"""How connectors are wired, in OCPP's words."""

from agent.core.values import EvseSpec
from agent.core.wiring import possible, rotations, wired


def test_the_board_says_how_its_connectors_are_wired() -> None:
    specs = (
        EvseSpec(1, 2, 32.0, 3, conductors=(1, 2, 0)),
        EvseSpec(2, 1, 32.0, 3),
        EvseSpec(3, 1, 32.0, 1, conductors=(2,)),
    )
    assert rotations(specs) == "0.Unknown,1.STR,2.STR,3.Unknown,4.NotApplicable"


def test_every_connector_and_the_station_can_have_every_rotation() -> None:
    found = possible((EvseSpec(1, 1, 32.0, 3),))
    assert len(found) == 16
    assert {"0.RST", "1.Unknown"} <= set(found)
    assert "2.RST" not in found


def test_what_the_board_says_nobody_else_can_say() -> None:
    wired_evse = EvseSpec(1, 2, 32.0, 3, conductors=(1, 2, 0))
    found = possible((wired_evse, EvseSpec(2, 1, 32.0, 1)))
    assert found[8:] == ("1.STR", "2.STR", "3.NotApplicable")
    assert wired((wired_evse,), ["1.RST"]) == (wired_evse,)


def test_where_the_board_is_silent_the_setting_tells_the_conductors() -> None:
    specs = (EvseSpec(1, 2, 32.0, 3), EvseSpec(2, 1, 32.0, 3), EvseSpec(3, 1, 32.0, 1))
    told = ["0.RST", "1.TRS", "2.RST", "3.SRT", "4.NotApplicable"]
    assert [spec.wiring for spec in wired(specs, told)] == [(2, 0, 1), (1, 0, 2), (0,)]
    assert wired(specs, ["1.Unknown", "3.NotApplicable"]) == specs
    assert wired(specs, []) == specs
