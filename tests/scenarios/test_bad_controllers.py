"""The line of a controller goes bad in the middle of a session: it survives or ends safe.

Controllers that have a line of their own, on pseudo terminals; tests.support.bad_line stands
between. The meter is on another line and well, so whatever has flowed is on the bill.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.test_bad_lines import PTY_PATIENCE_S, charging, left
from tests.support.bad_line import MISHAPS, BadLine, Mishap, SerialLine
from tests.support.lab import VERSIONS, Lab, run
from tests.support.wire_board import on_the_wire

BOARDS = Path(__file__).parents[2] / "config/boards"
CONTROLLERS = ("openevse", "safety-mcu")
LEFT_A = {"openevse": 6.0, "safety-mcu": 0.0}
"""What a board goes on offering when nobody reaches it any more."""

AWAY_S = 120.0

Story = Callable[[Lab, BadLine], Awaitable[None]]


@contextmanager
def bad_line(name: Path, path: str) -> Iterator[SerialLine]:
    """Put an adapter that may go bad before a pseudo terminal."""
    loop = asyncio.get_running_loop()
    with Path(path).open("r+b", buffering=0) as board:
        line = SerialLine(name, board.write)
        loop.add_reader(board, lambda: line.answered(board.read(300)))
        try:
            yield line
        finally:
            loop.remove_reader(board)
            line.close()


def lived(controller: str, version: str, directory: Path, story: Story) -> Lab:
    async def whole(lab: Lab) -> None:
        asyncio.get_running_loop().patience_s = PTY_PATIENCE_S
        lines: list[SerialLine] = []
        held = []

        async def drawn(path: str) -> str:
            held.append(bad_line(directory / "usb-FTDI-if00", path))
            lines.append(held[0].__enter__())
            return lines[0].path

        path = BOARDS / f"{controller}.toml"
        try:
            async with on_the_wire(lab, path, directory, drawn=drawn):
                await story(lab, lines[0])
        finally:
            for one in held:
                one.__exit__(None, None, None)
            asyncio.get_running_loop().patience_s = 0.0

    return run(Lab(version), whole)


async def suffered(lab: Lab, line: BadLine, mishap: Mishap, *, lasts_s: float) -> None:
    """Let the line go bad for a while; nothing dangerous may happen meanwhile."""
    line.suffer(mishap)
    for _ in range(round(lasts_s * 5)):
        await asyncio.sleep(0.2)
        offer_a = lab.evse().offer_a
        assert offer_a == 0.0 or 6.0 <= offer_a <= 32.0


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize(
    ("mishap", "version"), [(one, VERSIONS[at % 2]) for at, one in enumerate(MISHAPS)]
)
def test_a_session_survives_a_line_that_goes_bad_for_a_while(
    controller, mishap, version, tmp_path
):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        await suffered(lab, line, mishap, lasts_s=20.0)
        if mishap == "gone":
            assert lab.evse().offer_a == LEFT_A[controller]
        if mishap == "silence":
            assert not lab.evse().outlet_closed
        line.suffer(None)
        await lab.until(lambda: lab.connector() == "Charging", limit_s=150)
        await left(lab)

    lab = lived(controller, version, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    assert not bill.missing_seq_nos
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


@pytest.mark.parametrize(
    ("controller", "version"), list(zip(CONTROLLERS, VERSIONS, strict=True))
)
def test_a_line_that_is_bad_again_and_again_costs_nothing(controller, version, tmp_path):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        for mishap in MISHAPS:
            await suffered(lab, line, mishap, lasts_s=1.4)
            line.suffer(None)
            await asyncio.sleep(3.6)
        await lab.until(lambda: lab.connector() == "Charging", limit_s=150)
        await left(lab)

    lab = lived(controller, version, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


@pytest.mark.parametrize(
    ("controller", "version"), list(zip(CONTROLLERS, reversed(VERSIONS), strict=True))
)
def test_an_adapter_that_stays_out_ends_safe_and_bills_what_flowed_until_then(
    controller, version, tmp_path
):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        await suffered(lab, line, "gone", lasts_s=AWAY_S)
        assert lab.connector() == "Faulted"
        assert lab.evse().offer_a == LEFT_A[controller]
        lab.unplug()  # whoever leaves is not kept, and the board itself opens
        await asyncio.sleep(5.0)
        assert not lab.evse().outlet_closed
        line.suffer(None)
        await lab.until(lambda: lab.connector() == "Available")
        assert lab.evse().offer_a == 0.0
        await lab.delivered()

    lab = lived(controller, version, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    # The transaction ends while the board is lost; what that gives later is on no bill.
    given_wh = LEFT_A[controller] * 3 * 230.0 * AWAY_S / 3600.0
    assert lab.flowed_wh - given_wh - 1.5 <= bill.energy_wh <= lab.flowed_wh + 1.5
