"""The official JSON schemas of OCPP, as shipped in the `ocpp` package.

`validate` is for every frame a test sees on the wire. Numbers are read as decimals, because
`multipleOf: 0.1` has no meaning in binary floats, and `date-time` is checked as RFC 3339 in
UTC, the only form that we send.
"""

import json
import re
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import FormatChecker
from jsonschema.validators import validator_for

_PLACES = {
    "ocpp1.6": ("ocpp.v16.schemas", "", "Response"),
    "ocpp2.0.1": ("ocpp.v201.schemas", "Request", "Response"),
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z", re.ASCII)

_formats = FormatChecker(formats=())


@_formats.checks("date-time")
def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or _INSTANT.fullmatch(value) is not None


def schema(subprotocol: str, action: str, *, response: bool) -> dict[str, Any]:
    """Return the official schema of a payload, numbers in it as decimals.

    Raises:
        FileNotFoundError: the version has no such action.
    """
    package, request_suffix, response_suffix = _PLACES[subprotocol]
    name = f"{action}{response_suffix if response else request_suffix}.json"
    package, _, folder = package.rpartition(".")
    path = resources.files(package).joinpath(folder, name)
    parsed: dict[str, Any] = json.loads(
        path.read_text(encoding="utf-8-sig"), parse_float=Decimal
    )
    return parsed


def inlined(official: Any, root: dict[str, Any] | None = None) -> Any:
    """Return a schema with its definitions in the places that refer to them."""
    root = official if root is None else root
    match official:
        case {"$ref": str(place)}:
            return inlined(root["definitions"][place.rpartition("/")[2]], root)
        case dict():
            return {key: inlined(one, root) for key, one in official.items()}
        case list():
            return [inlined(one, root) for one in official]
        case _:
            return official


def validate(
    subprotocol: str, action: str, payload: bytes | bytearray | str, *, response: bool
) -> Any:
    """Check a payload against its official schema, and return it parsed.

    Args:
        subprotocol: "ocpp1.6" or "ocpp2.0.1".
        payload: JSON text, without its frame.
        response: the payload of a CALLRESULT, otherwise of a CALL.

    Raises:
        jsonschema.ValidationError: it does not fit.
        FileNotFoundError: the version has no such action.
    """
    tree = json.loads(
        bytes(payload) if not isinstance(payload, str) else payload, parse_float=Decimal
    )
    _validator(subprotocol, action, response).validate(tree)
    return tree


@cache
def _validator(subprotocol: str, action: str, response: bool) -> Any:
    official = schema(subprotocol, action, response=response)
    return validator_for(official)(official, format_checker=_formats)
