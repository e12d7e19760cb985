from pathlib import Path

import pytest

from hal.registers.map import RegisterMap, load_map
from hal.registers.sunspec import BASES, MARK, Model, model_at, moved, served

METER = """\
schema = 1
kind = "meter"
id = "test"
vendor = "Maker"
model = "Model"
source = "page 1"
phases = 1
[sunspec]
models = [203, 204]
length = 105
[exponents]
w_sf = { addr = 22, sim = -1 }
[defaults]
fc = 3
type = "int16"
[points]
voltage_l1 = { addr = 8, unit = "V" }
current_l1 = { addr = 3, unit = "A" }
power_total = { addr = 18, unit = "W", exponent = "w_sf" }
energy_import = { addr = 46, unit = "Wh", type = "uint32" }
[[vector]]
point = "power_total"
words = [2300]
exponent = -1
value = 230.0
"""


@pytest.fixture
def meter(tmp_path) -> RegisterMap:
    path = tmp_path / "map.toml"
    path.write_text(METER)
    return load_map(path)


def test_a_chain_is_walked_from_model_to_model_until_its_end():
    assert model_at(40_002, (1, 66)) == Model(1, 40_002, 66)
    assert Model(1, 40_002, 66).next_address == 40_070
    assert model_at(40_070, (0xFFFF, 0)) is None
    assert model_at(40_070, (203, 0)) is None
    assert model_at(65_500, (203, 105)) is None


def test_a_map_is_moved_to_where_its_model_is(meter):
    there = moved(meter, {1: 40_002, 204: 40_070})
    points = {point.name: point for point in there.points}
    assert points["power_total"].address == 40_088
    assert points["power_total"].exponent.address == 40_092
    assert points["energy_import"].exponent is None
    assert there.sunspec is None
    assert [(text.name, text.address) for text in there.identity] == [
        ("model", 40_020),
        ("firmware", 40_044),
        ("serial_number", 40_052),
    ]


def test_a_device_without_the_common_model_says_nothing_about_itself(meter):
    assert moved(meter, {203: 0}).identity == ()


def test_a_device_without_the_model_is_another_device(meter):
    assert moved(meter, {1: 40_002, 201: 40_070}) is None


def test_a_simulated_device_has_a_chain_that_leads_to_its_model(meter):
    there, words = served(meter)
    assert (words[BASES[0]], words[BASES[0] + 1]) == MARK
    at, found = BASES[0] + 2, {}
    while (model := model_at(at, (words[at], words[at + 1]))) is not None:
        found[model.id] = model.address
        at = model.next_address
    assert moved(meter, found).points == there.points


def test_only_a_sunspec_map_has_a_chain(meter):
    plain = load_map(Path(__file__).parents[2] / "config/registers/eastron-sdm630.toml")
    assert moved(plain, {1: 40_002}) is None
    with pytest.raises(ValueError, match="is no SunSpec map"):
        served(plain)
