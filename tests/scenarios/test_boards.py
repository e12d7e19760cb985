"""Every shipped board of real devices charges a vehicle, on both versions, over its own wires."""

import asyncio
from pathlib import Path

import pytest

from agent.bench.desk import ProfileWish
from agent.core.bounds import Site
from agent.core.events import GridInputChanged, TokenPresented
from agent.core.phase_switching import EVERY_S
from hal.board_file import load_board, modbus_meter
from hal.controller_settings import LineControllerSettings
from hal.drivers.modbus_input import ModbusInput
from hal.types import IdToken, Phases
from tests.hal.test_modbus_input import ADDRESS, UNIT, module
from tests.support.lab import IDENTITY, TAG, VERSIONS, Lab, run
from tests.support.line_rig import PTY_PATIENCE_S
from tests.support.wire_board import on_the_wire

BOARDS = Path(__file__).parents[2] / "config/boards"
ALL = {path: load_board(path) for path in sorted(BOARDS.glob("*.toml"))}
REAL = [  # those of direct current are in test_dc_boards
    path for path, board in ALL.items() if not board.is_simulated and not board.evses[0].is_dc
]


def tap(lab: Lab, evse_id: int) -> None:
    lab.post(TokenPresented(IdToken(TAG), evse_id))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_whole_session(path, version, tmp_path):
    board = load_board(path)
    has_pty = isinstance(board.evses[0].controller, LineControllerSettings)

    async def story(lab: Lab) -> None:
        asyncio.get_running_loop().patience_s = PTY_PATIENCE_S if has_pty else 0.0
        async with on_the_wire(lab, path, tmp_path) as hardware:
            await lab.start()
            await lab.online()
            await lab.until(lambda: lab.connector() == "Available")
            lab.plug(ampacity_a=32.0)
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab, 1)
            await lab.until(lambda: lab.connector() == "Charging")
            assert 6.0 <= lab.evse().offer_a <= board.evses[0].max_a
            await asyncio.sleep(20)
            assert lab.evse().outlet_closed
            tap(lab, 1)
            await lab.until(lambda: lab.connector() == "Finishing")
            await lab.until(lambda: not lab.evse().outlet_closed)
            await lab.delivered()
            lab.unplug()
            await lab.until(lambda: lab.connector() == "Available")
            assert all(port["timeouts"] == 0 for port in hardware.ports().values())

    lab = run(Lab(version, evses=len(board.evses)), story)
    (bill,) = lab.bills
    assert bill.complete
    assert not bill.missing_seq_nos
    meter = modbus_meter(board.evses[0])
    points = board.maps[meter.map].points if meter is not None else ()
    step_wh = max((point.step for point in points if point.is_monotonic), default=1.0)
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=max(step_wh, 1.0) + 1.0)


def test_a_line_that_goes_and_comes_in_a_session_costs_nothing(tmp_path):
    """The agent loses the controller, its watchdog ends the charge, and the bill is right."""

    async def story(lab: Lab) -> None:
        async with on_the_wire(lab, BOARDS / "heidelberg-energy-control.toml", tmp_path) as on:
            await lab.start()
            await lab.online()
            lab.plug()
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab, 1)
            await lab.until(lambda: lab.connector() == "Charging")
            await asyncio.sleep(60)
            on.evses[0].controller._device._unit = 99  # nobody answers there
            await lab.until(lambda: lab.connector() == "Faulted")
            await lab.until(lambda: not lab.evse().outlet_closed)
            on.evses[0].controller._device._unit = 1
            await lab.until(lambda: lab.connector() != "Faulted")
            await asyncio.sleep(60)
            lab.unplug()
            await lab.delivered()

    lab = run(Lab("ocpp2.0.1"), story)
    billed_wh = sum(bill.energy_wh for bill in lab.bills)
    assert billed_wh == pytest.approx(lab.flowed_wh, abs=2.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_grid_operators_contact_to_the_controllers_register(version, tmp_path):
    """The contact on an I/O module lowers what the controller is written within a second."""

    async def story(lab: Lab) -> None:
        async with module() as rig, on_the_wire(lab, BOARDS / "phoenix-charx.toml", tmp_path):
            await lab.start()
            contact = ModbusInput(rig.port, UNIT, address=ADDRESS)
            watching = asyncio.create_task(
                contact.run(lambda active: lab.post(GridInputChanged(active=active)))
            )
            await lab.online()
            lab.plug(ampacity_a=32.0)
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab, 1)
            await lab.until(lambda: lab.connector() == "Charging")
            await lab.until(lambda: lab.evse().offer_a == 32.0)
            await rig.activate(active=True)
            await lab.until(lambda: lab.evse().offer_a == 8.0, limit_s=1.0)
            await rig.activate(active=False)
            await lab.until(lambda: lab.evse().offer_a == 32.0)
            watching.cancel()

    run(Lab(version, site=Site(grid_w=5_520.0)), story)


@pytest.mark.parametrize("version", VERSIONS)
def test_little_power_is_drawn_on_one_phase_by_the_controllers_register(version, tmp_path):
    """Down to one phase and up to three again, without load, in one transaction."""

    async def story(lab: Lab) -> None:
        async with on_the_wire(lab, BOARDS / "amperfied-connect-solar.toml", tmp_path):
            await lab.start()
            await lab.online()
            lab.plug(ampacity_a=32.0)
            await lab.until(lambda: lab.connector() == "Preparing")
            tap(lab, 1)
            await lab.until(lambda: lab.connector() == "Charging")
            sim = lab.evse()
            for power_w, current in (
                (3_220.0, Phases(14.0, 0.0, 0.0)),
                (6_900.0, Phases(10.0, 10.0, 10.0)),
            ):
                await asyncio.sleep(EVERY_S)
                wish = ProfileWish(1, "default", 1, ((0, power_w),), "W")
                assert await lab.csms.set_profile(IDENTITY, wish) == "Accepted"
                await lab.until(lambda: lab.connector() == "SuspendedEVSE")
                await lab.until(lambda: lab.connector() == "Charging")
                await asyncio.sleep(10)
                assert sim.reading().current_a == current
            tap(lab, 1)
            await lab.delivered()

    lab = run(Lab(version), story)
    assert len(lab.bills) == 1
    assert lab.bills[0].energy_wh == pytest.approx(lab.flowed_wh, abs=2.0)
