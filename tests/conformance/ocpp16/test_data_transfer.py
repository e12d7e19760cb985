"""Data transfer (10.8)."""

from tests.conformance.ocpp16.script import Case, certify


def test_tc_062_data_transfer_to_a_charge_point() -> None:
    async def steps(case: Case) -> None:
        await case.online()
        answer = await case.ask(
            "DataTransfer", vendorId="nobody.example", messageId="1", data="?"
        )
        assert answer == {"status": "UnknownVendorId"}

    certify(steps)
