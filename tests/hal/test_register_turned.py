from pathlib import Path

import pytest

from hal.registers.codec import decode
from hal.registers.map import load_map
from hal.registers.turned import turned

MAPS = Path(__file__).parents[2] / "config/registers"
SDM630 = load_map(MAPS / "eastron-sdm630.toml")


def test_a_meter_that_is_wired_the_wrong_way_round_bills_its_export():
    before = {point.name: point for point in SDM630.points}
    after = {point.name: point for point in turned(SDM630).points}
    assert after["energy_import"].address == before["energy_export"].address
    assert not after["energy_import"].is_optional
    assert after["energy_export"].address == before["energy_import"].address
    assert after["energy_export"].is_optional
    words = [0x4366, 0x199A]
    assert decode(after["power_total"], words) == -decode(before["power_total"], words)
    assert after["power_l1"].minimum == -before["power_l1"].maximum
    assert after["current_l1"] == before["current_l1"]


def test_the_energies_of_a_conductor_are_exchanged_too(tmp_path):
    path = tmp_path / "map.toml"
    text = (MAPS / "eastron-sdm630.toml").read_text()
    path.write_text(text.replace("[[vector]]", (
        'energy_import_l1 = { addr = 0x15A, unit = "kWh" }\n'
        'energy_export_l1 = { addr = 0x160, unit = "kWh" }\n'
        '[[vector]]\npoint = "energy_import_l1"\nwords = [0x449A, 0x5000]\nvalue = 1_234_500.0\n'
        '[[vector]]\npoint = "energy_export_l1"\nwords = [0x449A, 0x5000]\nvalue = 1_234_500.0\n'
        "[[vector]]"
    ), 1))  # fmt: skip
    after = {point.name: point.address for point in turned(load_map(path)).points}
    assert (after["energy_import_l1"], after["energy_export_l1"]) == (0x160, 0x15A)


def test_a_meter_without_an_export_register_cannot_be_turned():
    with pytest.raises(ValueError, match="orno-we-514 has no energy_export"):
        turned(load_map(MAPS / "orno-we-514.toml"))
