"""Every scenario once more, with the power going away at the boundaries between two effects.

A scenario is run uncut, which counts its boundaries, and then again for each of them. From the
cut on, what it says of the station is void, and only what its world does still counts: the
vehicles, cards and the CSMS go on as the scenario wants, the power comes back a few seconds
later, and in the end the world is set right again, so that the station can tell what it has to.
Then the books are looked at. All along the contactor may close only for a transaction on disk.
"""

import importlib
import inspect
import logging
import pkgutil
import random
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product, repeat
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from agent.bench.script import BootAnswer
from agent.core.events import LinkHeld
from hal.sim.vehicle import SimRefused
from hal.types import Fault
from tests import scenarios
from tests.support import lab as support
from tests.support.lab import Lab, check_bills
from tests.support.power import Cutter, PowerCut

OFF_S = 4.0
"""How long the power stays away; less than the wait before a transaction counts as lost."""

Story = Callable[[Lab], Awaitable[None]]


class Swept(BaseException):  # no error: the scenario was cut, and its books are right
    """What the scenario asserts after this run no longer applies."""


class Case:
    """One scenario with one set of arguments.

    Attributes:
        name: as pytest would name it, without the file's ending.
    """

    def __init__(
        self,
        module: ModuleType,
        test: Callable[..., None],
        arguments: dict[str, Any],
        shown: str,
    ) -> None:
        self._module, self._test, self._arguments = module, test, arguments
        self.name = f"{module.__name__.rpartition('.')[2]}::{test.__name__}[{shown}]"

    def boundaries(self) -> tuple[int, bool]:
        """Run it uncut; return how many boundaries it has, and whether its books are whole."""
        cutter, labs = Cutter(), list[Lab]()

        def run(lab: Lab, story: Story, *, goes_on: bool = False) -> Lab:
            labs.append(support.run(lab, story, goes_on=goes_on))
            return lab

        with self._inside(cutter, run):
            self._test(**self._arguments)
        try:
            for lab in labs[-1:]:
                check_bills(lab)
        except AssertionError:
            return cutter.count, False
        return cutter.count, True

    def cut(self, at: int, *, is_whole: bool) -> None:
        """Run it with a cut at a boundary.

        Args:
            is_whole: without a cut the bills are all that flowed, so they must be with it.

        Raises:
            AssertionError: something was lost.
        """
        cutter = Cutter(at)
        try:
            with self._inside(cutter, partial(_until_cut, is_whole=is_whole)), suppress(Swept):
                self._test(**self._arguments)
                pytest.fail("the cut did not happen")
        except BaseException as error:
            where = cutter.names[at - 1] if len(cutter.names) >= at else "?"
            error.add_note(f"{self.name}, cut at boundary {at}: {where}")
            raise

    @contextmanager
    def _inside(self, cutter: Cutter, run: Callable[..., Lab]) -> Iterator[None]:
        """Let the scenario's module build its labs around a cutter, and run them so."""
        kept = self._module.Lab, self._module.run
        self._module.Lab = partial(Lab, cutter=cutter, revive_s=OFF_S)
        self._module.run = run
        try:
            yield
        finally:
            self._module.Lab, self._module.run = kept


class Tally(NamedTuple):
    """What came of sweeping one scenario.

    Attributes:
        boundaries: how many it has.
        cuts: how many of them were cut.
        problems: what was lost, and where.
    """

    name: str
    boundaries: int
    cuts: int
    problems: list[str]


def swept(name: str, most: int, seed: int) -> Tally:
    """Cut one scenario at every boundary, or at `most` of them, spread evenly.

    Args:
        seed: of where the spread begins.
    """
    logging.disable(logging.CRITICAL)
    [case] = [case for case in cases() if case.name == name]
    count, is_whole = case.boundaries()
    step = max(1.0, count / most)
    first, problems = random.Random(f"{name} {seed}").random() * step, list[str]()
    chosen = sorted(
        {1 + int(first + step * index) % count for index in range(min(most, count))}
    )
    for at in chosen:
        try:
            case.cut(at, is_whole=is_whole)
        except (AssertionError, pytest.fail.Exception, ExceptionGroup) as error:
            problems.append(f"{error.__notes__[-1]}: {error}")
    return Tally(name, count, len(chosen), problems)


def sweep(most: int, seed: int, only: str, report: Callable[[str], None]) -> list[str]:
    """Sweep the scenarios with `only` in their names, on all processors.

    Returns:
        What was lost, and where.
    """
    names = [case.name for case in cases() if only in case.name]
    problems, cuts, boundaries = list[str](), 0, 0
    with ProcessPoolExecutor() as pool:
        for tally in pool.map(swept, names, repeat(most), repeat(seed)):
            report(f"{tally.name}: {tally.cuts} of {tally.boundaries} boundaries")
            for problem in tally.problems:
                report(f"  LOST {problem}")
            problems += tally.problems
            cuts, boundaries = cuts + tally.cuts, boundaries + tally.boundaries
    report(
        f"sweep: {cuts} cuts at {boundaries} boundaries of {len(names)} scenarios, "
        f"{len(problems)} problems"
    )
    return problems


def cases() -> list[Case]:
    """Return every scenario with every set of its arguments, in order of their names."""
    found = []
    for entry in pkgutil.iter_modules(scenarios.__path__, f"{scenarios.__name__}."):
        module = importlib.import_module(entry.name)
        if not {"Lab", "run"} <= vars(module).keys():
            continue
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == module.__name__:
                wanted = inspect.signature(test).parameters.keys()
                found += [
                    Case(module, test, arguments, shown)
                    for arguments, shown in _arguments(test)
                    if arguments.keys() == wanted  # what takes a fixture is no plain scenario
                ]
    return found


def _arguments(test: Callable[..., None]) -> Iterator[tuple[dict[str, Any], str]]:
    """Return what the `parametrize` marks of a test and of its module make of it, and a name."""
    own = getattr(test, "pytestmark", [])
    module_wide = getattr(inspect.getmodule(test), "pytestmark", [])
    columns = []
    for mark in [*([module_wide] if not isinstance(module_wide, list) else module_wide), *own]:
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            names = names.replace(" ", "").split(",") if isinstance(names, str) else names
            columns.append(
                [(names, _row(value, len(names)), at) for at, value in enumerate(values)]
            )
    for rows in product(*columns):
        arguments = {
            name: value
            for names, row, _ in rows
            for name, value in zip(names, row, strict=True)
        }
        shown = [
            row[0] if len(row) == 1 and isinstance(row[0], str) else f"{names[0]}{at}"
            for names, row, at in rows
        ]
        yield arguments, "-".join(shown)


def _row(value: Any, width: int) -> tuple[Any, ...]:
    """Return one row of a `parametrize` mark as a tuple, unwrapping `pytest.param`."""
    held = getattr(value, "values", None)
    if isinstance(held, tuple):
        return held
    return (value,) if width == 1 else tuple(value)


def _until_cut(lab: Lab, story: Story, *, goes_on: bool = False, is_whole: bool) -> Lab:
    """Run a story; once it is cut, set the world right, look at the books, and stop."""

    metered = True

    async def told(lab: Lab) -> None:
        nonlocal metered
        try:
            await story(lab)
            if not _is_cut(lab):
                await lab.stop()
        except (Exception, pytest.fail.Exception):  # what it expected without a cut
            if not _is_cut(lab):
                raise
        except PowerCut:  # a report of the hardware met the cut; the station notices next
            await lab.until(lambda: lab.cuts, limit_s=4000.0)
        if _is_cut(lab):
            # What flowed since the last word of a silent meter is never guessed at.
            metered = not any(Fault.POWER_METER_FAILURE in sim.faults for sim in lab.hardware)
            await _set_right(lab)

    support.run(lab, told, goes_on=goes_on)
    if not _is_cut(lab):
        return lab
    assert lab.disk.starts.keys() == lab.disk.ends.keys(), "an end was lost"
    if is_whole and metered:
        check_bills(lab)
    raise Swept


def _is_cut(lab: Lab) -> bool:
    cutter = lab.cutter
    return cutter.at is not None and cutter.count >= cutter.at


async def _set_right(lab: Lab) -> None:
    """Let everybody leave, mend what is broken, and let the station tell what it has to."""
    behaviour = lab.csms.behaviour
    behaviour.clear()
    behaviour.boots, behaviour.closes_at_once = [BootAnswer()], False
    lab.disk.refusal = None
    lab.restore_link()
    for sim in lab.hardware:
        for fault in sim.faults:
            sim.clear(fault)
        with suppress(SimRefused):
            sim.unplug()
    if not lab.is_alive:
        await lab.start()
    await lab.until(lambda: lab.is_running)
    lab.post(LinkHeld(held=False))
    await lab.delivered(limit_s=4000.0)
