"""What is plugged in: one vehicle at a time, and the cable that it leaves."""

import pytest

from hal.sim.plugs import USUAL_CABLE_A, Plugs
from hal.sim.vehicle import SimRefused, Vehicle


def test_a_vehicle_leaves_its_cable_and_the_next_one_takes_it():
    plugs = Plugs(2, is_tethered=False)
    plugs.plug(2, Vehicle(ampacity_a=20.0))
    plugs.unplug(2, leaves_cable=True)
    assert (plugs.vehicle, plugs.cable_a) == (None, 20.0)
    plugs.plug(2, Vehicle(ampacity_a=32.0))
    assert plugs.cable_a == 20.0
    plugs.unplug(2, leaves_cable=False)
    assert plugs.cable_a is None


def test_a_cable_of_which_nothing_is_known_is_the_usual_one():
    plugs = Plugs(1, is_tethered=False)
    plugs.plug(1, Vehicle())
    plugs.unplug(1, leaves_cable=True)
    assert plugs.cable_a == USUAL_CABLE_A


def test_a_tethered_cable_is_never_left_nor_shown():
    plugs = Plugs(1, is_tethered=True)
    plugs.plug(1, Vehicle(ampacity_a=20.0))
    assert plugs.cable_a is None
    plugs.unplug(1, leaves_cable=True)
    with pytest.raises(SimRefused, match="nothing is plugged into connector 1"):
        plugs.unplug(1, leaves_cable=True)


@pytest.mark.parametrize(
    ("leaves_cable", "reason"),
    [
        (None, "a vehicle is plugged into connector 1 already"),
        (True, "a cable is plugged into connector 1 already"),
    ],
)
def test_the_other_connector_is_taken_as_well(leaves_cable, reason):
    plugs = Plugs(2, is_tethered=False)
    plugs.plug(1, Vehicle())
    if leaves_cable:
        plugs.unplug(1, leaves_cable=True)
    before = (plugs.vehicle, plugs.cable_a, plugs.connector_id)
    with pytest.raises(SimRefused, match=reason):
        plugs.plug(2, Vehicle())
    with pytest.raises(SimRefused, match="connector 3: there are 1 to 2"):
        plugs.plug(3, Vehicle())
    assert (plugs.vehicle, plugs.cable_a, plugs.connector_id) == before


def test_only_a_vehicle_that_is_there_can_be_ready():
    with pytest.raises(SimRefused, match="no vehicle is plugged"):
        Plugs(1, is_tethered=False).set_ready(ready=True)
