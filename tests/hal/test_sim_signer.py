"""A simulated meter that signs: anybody can check it with its public key."""

import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hal.sim.evse import SimulatedEvse
from hal.sim.signer import Signer
from hal.types import SignedReading
from tests.support.vloop import run


def check(signed: SignedReading, register: str | None = None) -> dict[str, object]:
    """Return the signed content, after checking its signature."""
    head, payload, proof = signed.data.split("|")
    assert head == "OCMF"
    if register is not None:
        payload = payload.replace(register, "9")
    key = load_der_public_key(bytes.fromhex(signed.public_key))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = bytes.fromhex(json.loads(proof)["SD"])
    key.verify(signature, payload.encode(), ec.ECDSA(hashes.SHA256()))
    content: dict[str, object] = json.loads(payload)
    return content


def test_the_register_is_signed_in_kwh_and_pages_count() -> None:
    signer = Signer("SIM-1")
    first, second = signer.signed(1234.5), signer.signed(1234.5)
    content = check(first)
    assert content["GS"] == "SIM-1"
    (reading,) = content["RD"]  # type: ignore[misc]
    assert (reading["RV"], reading["RU"]) == (1.2345, "kWh")
    assert [check(one)["PG"] for one in (first, second)] == ["T1", "T2"]


def test_a_changed_register_is_found_out() -> None:
    signed = Signer("SIM-1").signed(1234.5)
    with pytest.raises(InvalidSignature):
        check(signed, register="1.2345")


def test_a_simulated_meter_signs_only_if_it_is_told_to() -> None:
    async def both() -> None:
        assert SimulatedEvse(energy_wh=500.0).reading().signed is None
        signed = SimulatedEvse(energy_wh=500.0, signs=True).reading().signed
        assert signed is not None
        check(signed)

    run(both())
