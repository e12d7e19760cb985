"""How connectors are wired, in OCPP's words."""

from agent.core.values import EvseSpec
from agent.core.wiring import possible, rotations


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
