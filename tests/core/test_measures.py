"""Which measurands a station offers."""

from msgspec.structs import replace

from agent.core.events import MeterRead
from agent.core.measures import LONGEST_KEY, offered, with_key
from agent.core.values import EvseSpec, Measurand
from agent.core.variables import SAMPLED_MEASURANDS, Access, Kind, Settings, Variable
from hal.types import SignedReading
from tests.support.core import Bench, reading


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
    everything = set(SAMPLED_MEASURANDS.members) - {"SoC"}
    assert set(offered((EvseSpec(1, 1, 32.0, 3),))) == everything
    assert {one.value for one in Measurand} - {"SoC"} <= set(
        offered((EvseSpec(1, 1, 32.0, 1),))
    )


def test_only_a_vehicle_on_direct_current_tells_how_full_it_is() -> None:
    unknown = EvseSpec(1, 1, 96.0, 3, is_dc=True)
    assert "SoC" in offered((unknown,))
    mapped = EvseSpec(1, 1, 96.0, 3, measures=("voltage_dc", "current_dc"), is_dc=True)
    found = set(offered((mapped,)))
    assert {"SoC", "Voltage", "Current.Import", "Power.Offered"} <= found
    assert not any(".L" in name for name in found)


def test_without_an_evse_nothing_is_measured() -> None:
    assert offered(()) == ()


# --- the keys of meters that sign ---

TWO = (EvseSpec(1, 2, 32.0, 3), EvseSpec(2, 1, 32.0, 3))


def shown(custom: tuple[Variable, ...]) -> dict[str | None, str]:
    settings = Settings(custom=custom)
    return {item.key: settings.text(item) for item in custom}


def test_each_connector_shows_the_key_of_its_meter() -> None:
    custom = with_key(with_key((), TWO, 2, "beef"), TWO, 1, "cafe")
    expected = {"MeterPublicKey1": "cafe", "MeterPublicKey2": "cafe", "MeterPublicKey3": "beef"}
    assert shown(custom) == expected
    assert {item.access for item in custom} == {Access.READ_ONLY}


def test_a_key_that_is_known_changes_nothing_and_a_new_meter_has_its_own() -> None:
    custom = with_key((), TWO, 2, "beef")
    assert with_key(custom, TWO, 2, "beef") is custom
    assert shown(with_key(custom, TWO, 2, "f00d")) == {"MeterPublicKey3": "f00d"}


def test_a_key_is_never_shown_in_part() -> None:
    assert with_key((), TWO, 2, "x" * (LONGEST_KEY + 1)) == ()
    assert shown(with_key((), TWO, 2, "x" * LONGEST_KEY)) == {
        "MeterPublicKey3": "x" * LONGEST_KEY
    }


def test_what_the_operator_says_of_a_meter_stands() -> None:
    own = Variable(
        "CustomKeys", "MeterPublicKey3", Kind.STRING, "own", "Own.", key="MeterPublicKey3"
    )
    assert with_key((own,), TWO, 2, "beef") == (own,)


def test_the_station_shows_what_its_meter_has_shown() -> None:
    bench = Bench().ready()
    assert bench.station.settings.find("MeterPublicKey1") is None
    for public_key, found in (("", None), ("cafe", "cafe")):
        signed = SignedReading("OCMF|", "OCMF", "", public_key)
        bench.post(MeterRead(1, replace(reading(1000.0), signed=signed)))
        item = bench.station.settings.find("MeterPublicKey1")
        assert (item and bench.station.settings.text(item)) == found
    settings = bench.station.settings
    bench.post(MeterRead(1, reading(1001.0)))
    assert bench.station.settings is settings
