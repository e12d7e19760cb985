"""A meter that signs what it shows, as OCMF (Open Charge Metering Format 1.0).

The text is `OCMF|payload|signature`; the signature is ECDSA over P-256 and SHA-256 of the
payload's bytes. The key lives as long as the simulated meter: whoever checks a bill takes the
public key from the meter, as from a real one.
"""

import json

from hal.types import SignedReading

METHOD = "ECDSA-secp256r1-SHA256"
ENCODING = "OCMF"


class Signer:
    """A key and a counter of what it has signed (OCMF pagination)."""

    def __init__(self, serial: str) -> None:
        # Only a board that signs pays for the library.
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        self._key = ec.generate_private_key(ec.SECP256R1())
        self._how = ec.ECDSA(hashes.SHA256())
        self._serial, self._page = serial, 0
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_key = public.hex()

    def signed(self, energy_import_wh: float) -> SignedReading:
        """Return a register in Wh, signed."""
        self._page += 1
        reading = {"RV": round(energy_import_wh / 1000, 6), "RI": "1-b:1.8.0", "RU": "kWh"}
        content = {
            "FV": "1.0",
            "GS": self._serial,
            "PG": f"T{self._page}",
            "RD": [{**reading, "ST": "G"}],
        }
        payload = json.dumps(content, separators=(",", ":"))
        proof = {"SA": METHOD, "SD": self._key.sign(payload.encode(), self._how).hex()}
        text = f"OCMF|{payload}|{json.dumps(proof, separators=(',', ':'))}"
        return SignedReading(text, ENCODING, METHOD, self.public_key)
