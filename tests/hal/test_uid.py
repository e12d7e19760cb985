import pytest

from hal.drivers.uid import UidFormat, token
from hal.types import IdToken, TokenType

KIND = TokenType.ISO14443


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (UidFormat(), "DEADBEEF"),
        (UidFormat("reversed"), "EFBEADDE"),
        (UidFormat(notation="dec"), "3735928559"),
        (UidFormat("reversed", "dec"), "4022250974"),
        (UidFormat(prefix="RF-"), "RF-DEADBEEF"),
    ],
    ids=str,
)
def test_a_uid_is_written_as_the_fleet_writes_it(form: UidFormat, value: str) -> None:
    assert token(bytes.fromhex("DEADBEEF"), form, KIND) == IdToken(value, KIND)


def test_the_number_on_a_fob_has_ten_digits() -> None:
    # Hardware reference 5.2: 0x0086F444 is printed as 0008844356.
    found = token(bytes.fromhex("0086F444"), UidFormat(notation="dec10"), TokenType.LOCAL)
    assert found == IdToken("0008844356", TokenType.LOCAL)


def test_leading_zeros_stay_in_hexadecimal() -> None:
    assert token(bytes.fromhex("0006F444"), UidFormat(), KIND) == IdToken("0006F444")


def test_a_uid_that_changes_with_every_tap_may_be_left_out() -> None:
    careful = UidFormat(refuses_random=True)
    assert token(bytes.fromhex("08A1B2C3"), careful, KIND) is None
    assert token(bytes.fromhex("08A1B2C3"), UidFormat(), KIND) == IdToken("08A1B2C3")
    assert token(bytes.fromhex("08A1B2C3D4E5F6"), careful, KIND) is not None


def test_nothing_is_no_token_and_neither_is_what_no_message_carries() -> None:
    assert token(b"", UidFormat(), KIND) is None
    assert token(bytes(18), UidFormat(), KIND) == IdToken("00" * 18)
    assert token(bytes(18), UidFormat(prefix="X"), KIND) is None
