"""Few wide reads: which blocks of registers to ask for, so that every point is covered.

An exchange on a serial line costs the same pause whether it carries two words or eighty, so
points are merged into one read while the hole between them and the whole read stay within
what the device allows. Some devices answer a read across a hole with "illegal data address";
`narrow` is how a driver learns that without being told.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

from hal.registers.codec import Point
from hal.registers.layout import Layout
from hal.types import Value


class Read(Value, frozen=True, dict=True):
    """One request and the points that its answer carries.

    Attributes:
        fc: function code, 1 to 4.
        address: of the first word (or bit).
        count: how many words, 1 to 125.
        points: sorted by address, at least one; all lie within the read.
    """

    fc: int
    address: int
    count: int
    points: tuple[Point, ...]

    @property
    def is_optional(self) -> bool:
        """Return whether a reading can do without every point of it."""
        return all(point.is_optional for point in self.points)

    @cached_property
    def layout(self) -> Layout:
        """Return how the answer is taken apart; made once."""
        return Layout(self.address, self.count, self.points)


def plan(points: Iterable[Point], *, max_registers: int, max_gap: int) -> tuple[Read, ...]:
    """Return the fewest reads, in order of function code and address, that cover the points.

    Args:
        points: in any order; two may share words. A point is read together with the
            exponent that it needs.
        max_registers: the most words in one read, 4 to 125 (125: Modbus application
            protocol v1.1b3, section 6.3).
        max_gap: the most unused words to read through between two points; 0 for none.
    """
    reads: list[Read] = []
    for point in sorted(points, key=lambda point: (point.fc, point.start, point.address)):
        if reads and _fits(reads[-1], point, max_registers, max_gap):
            reads[-1] = _extended(reads[-1], point)
        else:
            reads.append(_alone(point))
    return tuple(reads)


def narrow(read: Read) -> tuple[Read, ...] | None:
    """Return smaller reads for one that the device refused as an illegal address.

    First the runs without holes, then each point by itself; a read that cannot be made
    smaller is dropped (an empty tuple) when the reading can do without it.

    Returns:
        The reads to make instead; None when there is nothing smaller and its point is needed.
    """
    runs = plan(read.points, max_registers=read.count, max_gap=0)
    if len(runs) > 1:
        return runs
    if len(read.points) > 1:
        return tuple(_alone(point) for point in read.points)
    return () if read.is_optional else None


def unpack(read: Read, words: Sequence[int]) -> dict[str, float | None]:
    """Return the value of each point of a read by its name, None where absent.

    Args:
        read: what was asked.
        words: exactly `read.count` registers.

    Raises:
        ValueError: the answer has another length.
    """
    return read.layout.values(words)


def _alone(point: Point) -> Read:
    return Read(point.fc, point.start, point.end - point.start, (point,))


def _fits(read: Read, point: Point, max_registers: int, max_gap: int) -> bool:
    gap = point.start - (read.address + read.count)
    size = max(point.end, read.address + read.count) - read.address
    return read.fc == point.fc and gap <= max_gap and size <= max_registers


def _extended(read: Read, point: Point) -> Read:
    end = max(read.address + read.count, point.end)
    return Read(read.fc, read.address, end - read.address, (*read.points, point))
