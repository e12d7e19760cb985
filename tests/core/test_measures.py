"""Which measurands a station offers."""

from agent.core.measures import offered
from agent.core.values import EvseSpec, Measurand
from agent.core.variables import SAMPLED_MEASURANDS


def spec(*measures: str, evse_id: int = 1, phases: int = 3) -> EvseSpec:
    return EvseSpec(evse_id, 1, 32.0, phases, measures=measures)


def test_a_meter_offers_what_it_has_registers_for() -> None:
    found = offered((spec("frequency", "apparent_total", "current_l1"),))
    assert "Frequency" in found
    assert {"Current.Import", "Current.Import.L3"} <= set(found)
    assert "Voltage" not in found
    assert "Power.Factor" not in found
    assert {"Energy.Active.Import.Register", "Power.Active.Import"} <= set(found)


def test_what_one_evse_measures_can_be_wanted() -> None:
    found = offered((spec("frequency"), spec("power_factor", evse_id=2)))
    assert {"Frequency", "Power.Factor"} <= set(found)


def test_a_phase_that_no_evse_has_cannot_be_wanted() -> None:
    found = offered((spec("voltage_l1", phases=1),))
    assert "Voltage.L1" in found
    assert "Voltage.L2" not in found


def test_a_meter_nobody_describes_measures_everything() -> None:
    assert set(offered((EvseSpec(1, 1, 32.0, 3),))) == set(SAMPLED_MEASURANDS.members)
    assert {one.value for one in Measurand} <= set(offered((EvseSpec(1, 1, 32.0, 1),)))


def test_without_an_evse_nothing_is_measured() -> None:
    assert offered(()) == ()
