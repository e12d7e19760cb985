"""From a board file to running hardware: the simulated board as the agent gets it."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from hal.board import SIM_STATE, Hardware, SimRefused, build, load_board
from hal.board_template import board_template
from hal.drivers.modbus_input import ModbusInput
from hal.drivers.modbus_meter import ModbusMeter
from hal.errors import BusError
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.process import State, save_state
from hal.sim.remote import RemoteController, RemoteReader
from hal.types import Fault, IdToken, PilotState
from tests.support.contract_hal import Recorder
from tests.support.simulated_board import end, short_directory, write_board


def built(directory, text=None) -> Hardware:
    return build(load_board(write_board(directory, text)), state_directory=directory)


@asynccontextmanager
async def running(directory, text=None):
    """Run everything that a board has, as the agent does; yield it and a recorder per EVSE."""
    hardware = built(directory, text)
    recorders = {evse.evse_id: Recorder() for evse in hardware.evses}
    tasks = []
    try:
        await hardware.start()
        tasks += [
            asyncio.create_task(device.run(recorders[evse.evse_id]))
            for evse in hardware.evses
            for device in (evse.controller, evse.meter, *evse.readers)
        ]
        yield hardware, recorders
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await end(hardware.simulator)
        await hardware.close()


def test_a_simulated_board_charges_a_vehicle_from_plug_to_meter():
    async def main():
        async with running(short_directory()) as (hardware, recorders):
            (evse,), recorder = hardware.evses, recorders[1]
            vehicle = {"reaction_s": 0, "adapt_s": 0, "ampacity_a": 20}
            await recorder.until(lambda now: now.pilot is PilotState.A)
            await hardware.simulator.call("sim.plug", {"evse_id": 1, "vehicle": vehicle})
            await recorder.until(lambda now: now.cable_a == 20.0)
            heat = {"device": "evse-1", "point": "temperature", "value": 41.5}
            await hardware.simulator.call("sim.set", heat)
            await recorder.until(lambda now: now.temperature_c == 41.5)
            while not recorder.tokens:
                await hardware.simulator.call("sim.token", {"id_token": "04AB"})
            assert recorder.tokens[0] == IdToken("04AB")
            await evse.controller.offer(16.0, valid_s=60.0)
            await recorder.until(lambda now: now.pilot is PilotState.C)
            await evse.controller.energize(closed=True)
            await recorder.until(lambda now: now.readings and now.readings[-1].power_w > 11_000)
            assert recorder.readings[-1].current_a.l3 == 16.0

    asyncio.run(main())


def test_the_parts_are_what_the_file_says():
    directory = short_directory()
    text = board_template(evses=2, connectors=3, max_a=16.0, phases=1)
    hardware = built(directory, text.replace("reader ", "# reader ", 1))

    first, second = hardware.evses
    assert (first.evse_id, first.connectors, first.max_a, first.phases) == (1, 3, 16.0, 1)
    assert isinstance(first.controller, RemoteController)
    assert first.readers == ()
    assert isinstance(second.readers[0], RemoteReader)


def test_each_evse_of_a_board_has_its_own_vehicle_and_meter():
    async def main():
        text = board_template(evses=2)
        async with running(short_directory(), text) as (hardware, recorders):
            await hardware.simulator.call("sim.plug", {"evse_id": 2})
            await recorders[2].until(lambda now: now.pilot is PilotState.B)
            assert recorders[1].pilot in (None, PilotState.A)
            await hardware.simulator.call(
                "sim.set", {"device": "evse-1", "point": "energy_import", "value": 5000.0}
            )
            await recorders[1].until(lambda now: now.readings or "meter_failed" in now.kinds())
            await recorders[2].until(lambda now: now.readings)
            assert recorders[2].readings[-1].energy_import_wh == 0.0

    asyncio.run(main())


def test_a_meter_is_found_again_after_the_simulator_has_been_killed():
    async def main():
        async with running(short_directory()) as (hardware, recorders):
            recorder = recorders[1]
            await recorder.until(lambda now: now.readings)
            await end(hardware.simulator, signal.SIGKILL)
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT not in now.faults)
            recorder.readings.clear()
            await recorder.until(lambda now: now.readings)

    asyncio.run(main())


def test_a_meter_that_moved_to_another_port_is_followed():
    async def main():
        directory = short_directory()
        async with running(directory) as (hardware, recorders):
            recorder = recorders[1]
            await recorder.until(lambda now: now.readings)
            former = await hardware.simulator.meter_port(1)
            save_state(directory / SIM_STATE, State({1: 7.0}, {}))
            await end(hardware.simulator, signal.SIGKILL)
            await recorder.until(lambda now: now.readings[-1].energy_import_wh > 6.9)
            assert await hardware.simulator.meter_port(1) != former

    asyncio.run(main())


def test_without_its_simulator_a_meter_fails_and_says_why():
    async def main():
        directory = short_directory()
        hardware = built(directory)
        (directory / "board.toml").write_text("broken")
        with pytest.raises(BusError, match="exit code 78"):
            await hardware.start()
        recorder = Recorder()
        polling = asyncio.create_task(hardware.evses[0].meter.run(recorder))
        assert "exit code 78" in (await recorder.next("meter_failed"))[1]
        polling.cancel()
        await asyncio.wait([polling])
        await end(hardware.simulator)
        await hardware.close()

    asyncio.run(main())


def test_a_real_meter_on_a_tcp_line_is_polled_where_the_file_says():
    async def main():
        directory = short_directory()
        text = board_template(evses=2).replace("port   = 0", 'host = "localhost"\nport = 5', 1)
        sdm630 = load_board(write_board(directory, text)).maps["eastron-sdm630"]
        meter_w = {"voltage_l1": 231.0, "power_total": 700.0, "energy_import": 42.0}
        points = dict.fromkeys((point.name for point in sdm630.points), 0.0) | meter_w
        points |= {"voltage_l2": 230.0, "voltage_l3": 230.0, "frequency": 50.0}
        async with ModbusDeviceServer(sdm630, read_points=lambda: points) as device:
            hardware = built(directory, text.replace("port = 5", f"port = {device.port}"))
            meter = hardware.evses[0].meter
            assert isinstance(meter, ModbusMeter)
            recorder = Recorder()
            polling = asyncio.create_task(meter.run(recorder))
            await recorder.until(lambda now: now.readings)
            assert recorder.readings[-1].power_w == 700.0
            polling.cancel()
            await asyncio.wait([polling])
            await hardware.close()

    asyncio.run(main())


def test_real_meters_on_one_serial_line_share_its_port():
    directory = short_directory()
    text = board_template(evses=2)
    for number in (1, 2):
        text = text.replace(f'[port.meter-{number}]\ndriver = "modbus_tcp"\nport   = 0\n', "")
        text = text.replace(f'port = "meter-{number}"', f'port = "bus", unit = {number}')
    text += f'\n[port.bus]\ndriver = "modbus_serial"\npath = "{os.devnull}"\nbaudrate = 19200\n'

    hardware = built(directory, text)

    first, second = (evse.meter for evse in hardware.evses)
    assert isinstance(first, ModbusMeter)
    assert first._device._port is second._device._port
    assert first._device._port.name == os.devnull


def test_a_refusal_of_the_bench_is_an_error_that_the_board_names():
    async def main():
        async with running(short_directory()) as (hardware, _):
            with pytest.raises(SimRefused, match="nothing is plugged"):
                await hardware.simulator.call("sim.unplug", {"evse_id": 1})

    asyncio.run(main())


def test_loading_this_module_loads_no_driver():
    code = (
        "import sys, hal.board;"
        "print([m for m in sys.modules if m.startswith(('pymodbus', 'serial', 'hal.bus.',"
        " 'hal.drivers.', 'hal.sim.remote'))])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_every_port_tells_what_it_has_seen():
    async def main():
        async with running(short_directory()) as (hardware, recorders):
            assert hardware.ports() == {"meter-1": {}}
            await recorders[1].until(lambda now: now.readings)
            assert hardware.ports()["meter-1"]["requests"] > 0

    asyncio.run(main())


def test_real_ports_are_counted_under_their_own_names():
    directory = short_directory()
    text = (
        board_template().replace("port   = 0", 'host = "192.0.2.1"').replace("meter-1", "bus")
    )
    hardware = built(directory, text)
    assert hardware.ports()["bus"] == {**hardware.ports()["bus"], "requests": 0, "load": 0.0}


def test_the_grid_operators_input_is_active_when_it_says_so_and_when_nobody_can_tell():
    async def main():
        directory = short_directory()
        text = board_template() + '\n[grid_input]\ndriver = "simulated"\nlimit_w = 4200\n'
        hardware = built(directory, text)
        seen: list[bool] = []
        changed = asyncio.Event()

        def take(active: bool) -> None:
            seen.append(active)
            changed.set()

        async def until(active: bool) -> None:
            async with asyncio.timeout(20):
                while seen[-1:] != [active]:
                    changed.clear()
                    await changed.wait()

        reading = asyncio.create_task(hardware.grid_input.run(take))
        await until(False)
        setting = {"device": "grid", "point": "input", "value": 1}
        await hardware.simulator.call("sim.set", setting)
        await until(True)
        await hardware.simulator.call("sim.set", {**setting, "value": 0})
        await until(False)
        for wrong in ({"value": 2}, {"point": "output"}):
            with pytest.raises(SimRefused, match="which is 0 or 1"):
                await hardware.simulator.call("sim.set", {**setting, **wrong})
        await end(hardware.simulator)
        await until(True)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await end(hardware.simulator)
        await hardware.close()

    asyncio.run(main())


def test_a_board_without_such_an_input_has_none():
    assert built(short_directory(), board_template()).grid_input is None


def test_a_contact_on_an_io_module_shares_the_line_of_the_meter():
    text = (
        board_template().replace("port   = 0", 'host = "192.0.2.1"')
        + '\n[grid_input]\ndriver = "modbus_input"\nport = "meter-1"\nlimit_w = 4200\n'
    )
    hardware = built(short_directory(), text)
    assert isinstance(hardware.grid_input, ModbusInput)
    assert set(hardware.ports()) == {"meter-1"}


def test_phases_are_switched_only_where_the_board_file_allows_it():
    async def main():
        text = board_template(evses=2).replace(
            "phases     = 3", "phases = 3\nphase_switching = true", 1
        )
        async with running(short_directory(), text) as (hardware, recorders):
            able, unable = hardware.evses
            assert unable.phase_switch is None
            await recorders[1].until(lambda now: now.capabilities)
            assert recorders[1].capabilities.can_switch_phases
            await able.phase_switch.switch(1)
            await able.phase_switch.switch(3)

    asyncio.run(main())
