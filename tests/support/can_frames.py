"""CAN frames as people write them: identifier, then the bytes."""

from hal.types import CanFrame


def frame(text: str) -> CanFrame:
    """Return the frame of `029A3FF0 00 …`; data is filled up with zeros to eight bytes."""
    can_id, _, data = text.partition(" ")
    return CanFrame(int(can_id, 16), bytes.fromhex(data).ljust(8, b"\0"))
