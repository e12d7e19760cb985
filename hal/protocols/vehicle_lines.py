"""Lines between this station and whatever speaks with the vehicle (docs/dc.md).

One JSON object per line and direction, complete each time:

    {"pilot":"C","stage":"charge","voltage_v":402,"current_a":120,"max_v":450,"max_a":200}
    {"is_offered":true,"stage":"charge","voltage_v":401.2,"current_a":118.9, …}

The keys are those of `hal.dc_types.VehicleState` and `SupplyState`; what is not known is left
out.
"""

from typing import Final

import msgspec

from hal.dc_types import SupplyState, VehicleState

LONGEST: Final = 2048
"""Bytes of a line; with every key it has less than 300."""

_DECODER: Final = msgspec.json.Decoder(VehicleState)
_ENCODER: Final = msgspec.json.Encoder()


def vehicle_state(line: bytes) -> VehicleState:
    """Return what a line says.

    Raises:
        ValueError: it is no JSON, or has a key, a type or a range that is not allowed; the
            text says which.
    """
    return _DECODER.decode(line)


def line_of(state: SupplyState) -> bytes:
    """Return the line that tells a state."""
    return _ENCODER.encode(state) + b"\n"


def refusal(reason: str) -> bytes:
    """Return the line that answers one which makes no sense."""
    return _ENCODER.encode({"error": reason}) + b"\n"
