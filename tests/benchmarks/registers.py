"""Registers: what the map engine costs beside the code that it replaces.

Ours takes apart the block of 76 words that the shipped map of an SDM630 asks for. Theirs is
what one would write by hand for the same points: two prepared `struct` calls, a dictionary,
and kilowatt hours to watt hours. It knows nothing of values that are absent.
"""

import struct
from collections.abc import Sequence
from pathlib import Path

from hal.registers.map import load_map
from hal.registers.plan import plan, unpack
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense, alternated

_MAP = Path(__file__).parents[2] / "config/registers/eastron-sdm630.toml"
_WORDS = struct.Struct(">76H")
_FIELDS = struct.Struct(">9f68xf4xf4xff12x3f")  # bytes that nobody asked for are passed over


def _by_hand(words: Sequence[int]) -> dict[str, float]:
    (
        voltage_l1, voltage_l2, voltage_l3, current_l1, current_l2, current_l3,
        power_l1, power_l2, power_l3, power_total, apparent_total, reactive_total,
        power_factor, frequency, import_kwh, export_kwh,
    ) = _FIELDS.unpack(_WORDS.pack(*words))  # fmt: skip
    return {
        "voltage_l1": voltage_l1,
        "voltage_l2": voltage_l2,
        "voltage_l3": voltage_l3,
        "current_l1": current_l1,
        "current_l2": current_l2,
        "current_l3": current_l3,
        "power_l1": power_l1,
        "power_l2": power_l2,
        "power_l3": power_l3,
        "power_total": power_total,
        "apparent_total": apparent_total,
        "reactive_total": reactive_total,
        "power_factor": power_factor,
        "frequency": frequency,
        "energy_import": import_kwh * 1000,
        "energy_export": export_kwh * 1000,
    }


def _measure() -> tuple[Figures]:
    sdm630 = load_map(_MAP)
    bus = sdm630.bus
    reads = plan(sdm630.points, max_registers=bus.max_registers, max_gap=bus.max_gap)
    words = _WORDS.unpack(struct.pack(">38f", *(1.5 * number for number in range(38))))
    if len(reads) != 1 or unpack(reads[0], words) != _by_hand(words):
        raise BenchmarkError("the map engine and the code by hand do not read the same")
    read = reads[0]
    ours, theirs = alternated(lambda: unpack(read, words), lambda: _by_hand(words))
    return (Figures(ours * 1e6, theirs * 1e6),)


REGISTERS = Benchmark(
    rows=(
        Row(
            "registers.decode",
            "the block of an SDM630, from words to values",
            "us",
            Sense.COST,
            3.0,
        ),
    ),
    measure=_measure,
)
