"""SunSpec: where a device keeps its models, and a map moved to where they are.

A SunSpec device has, at one of three addresses, two words that spell "SunS", and behind them
a chain of models, each with its id, its length and as many words, up to the id 0xFFFF
(SunSpec information model specification, section 4.3). A map with `[sunspec]` counts its
addresses from the id of its model; `Chain` finds that id without doing the reading itself.
"""

from typing import Final

from msgspec import structs

from hal.registers.codec import Exponent, Point, Text, words_of
from hal.registers.map import RegisterMap
from hal.types import Value

BASES: Final = (40_000, 50_000, 0)
"""Where a chain may begin."""

MARK: Final = (0x5375, 0x6E53)
"""The two words "SunS"."""

MAX_MODELS: Final = 64
"""More than any device has; a chain that goes on and on is none."""

_END: Final = 0xFFFF
_COMMON: Final = 1
_COMMON_LENGTH: Final = 66
_REGISTERS: Final = 0x10000
_IDENTITY: Final = {"model": (18, 16), "firmware": (42, 8), "serial_number": (50, 16)}


class Model(Value, frozen=True):
    """A model of a chain: its id, and the address of the word that holds it."""

    id: int
    address: int
    length: int

    @property
    def next_address(self) -> int:
        """Return where the id of the next model is."""
        return self.address + 2 + self.length


def model_at(address: int, words: tuple[int, int]) -> Model | None:
    """Return the model whose id and length are these words, None at the end of a chain."""
    number, length = words
    model = Model(number, address, length)
    is_end = number == _END or length == 0 or model.next_address + 2 > _REGISTERS
    return None if is_end else model


def moved(register_map: RegisterMap, models: dict[int, int]) -> RegisterMap | None:
    """Return a map with the addresses of the wire, None when the device has no such model.

    Args:
        register_map: one that counts from a model.
        models: the address of each model's id, by id.
    """
    wanted = register_map.sunspec.models if register_map.sunspec is not None else ()
    base = next((models[number] for number in wanted if number in models), None)
    if base is None:
        return None
    return _placed(register_map, base, models.get(_COMMON))


def _placed(register_map: RegisterMap, base: int, common: int | None) -> RegisterMap:
    return structs.replace(
        register_map,
        points=tuple(_moved_point(point, base) for point in register_map.points),
        identity=tuple(
            Text(name, 3, common + offset, count, "string", "big")
            for name, (offset, count) in _IDENTITY.items()
            if common is not None
        ),
        sunspec=None,
    )


def served(register_map: RegisterMap) -> tuple[RegisterMap, dict[int, int]]:
    """Return a map as a simulated device has it, and the words that make the chain.

    Args:
        register_map: one that counts from a model.
    """
    if register_map.sunspec is None:
        raise ValueError(f"{register_map.id} is no SunSpec map")
    common = BASES[0] + len(MARK)
    base = common + 2 + _COMMON_LENGTH
    number, length = register_map.sunspec.models[0], register_map.sunspec.length
    placed = _placed(register_map, base, common)
    words = dict(enumerate(MARK, start=BASES[0]))
    words |= {common: _COMMON, common + 1: _COMMON_LENGTH, base: number, base + 1: length}
    words |= {base + 2 + length: _END, base + 3 + length: 0}
    maker = Text("vendor", 3, common + 2, 16, "string", "big")
    words |= dict(enumerate(words_of(maker, register_map.vendor), start=maker.address))
    said = {"model": register_map.model, "firmware": "1.0", "serial_number": "1"}
    return structs.replace(placed, simulated=said), words


def _moved_point(point: Point, base: int) -> Point:
    exponent = point.exponent
    if exponent is not None:
        exponent = Exponent(exponent.address + base, exponent.simulated)
    return structs.replace(point, address=point.address + base, exponent=exponent)
