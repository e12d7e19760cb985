"""What a change of security must never do: lock the station out, or start it half."""

import asyncio

import pytest

from agent.bench.listener import listen
from tests.agent.test_main import LIMIT_S, Agent
from tests.support.ca import Authority
from tests.support.operator import KEY, ROOTS, SERIAL, Operator, told


def test_a_key_that_the_csms_does_not_know_after_all_is_taken_back(place):
    async def story(operator):
        async with operator.reconnecting():
            assert await operator.set("AuthorizationKey", KEY) == "Accepted"
        await operator.until(lambda: "FailedToAuthenticateAtCentralSystem" in operator.told())

    told(place, story)


def test_a_profile_that_brings_no_link_is_taken_back(place):
    async def story(operator):
        other = Authority("other")
        install = {"certificateType": ROOTS[0], "certificate": other.pem}
        assert await operator.ask("InstallCertificate", **install) == "Accepted"
        async with operator.reconnecting():
            assert await operator.set("SecurityProfile", "2") == "Accepted"
        assert await operator.get("SecurityProfile") == "1"
        await operator.until(lambda: "InvalidCentralSystemCertificate" in operator.told())

    told(place, story)


@pytest.mark.parametrize("protocols", [("ocpp1.6",), ("ocpp2.0.1",)])
def test_certificates_of_the_configuration_are_provisioned(place, protocols):
    files = (
        "[security]\n"
        'csms_roots = ["root.pem"]\n'
        'client_certificate = "station.pem"\n'
        'client_key = { file = "station.key" }\n'
    )

    async def life():
        operator = Operator(place)
        operator.ca.issue(SERIAL, organization="Example CPO").write(place, "station")
        operator.behaviour.password, operator.behaviour.client_name = None, SERIAL
        try:
            await operator.open(3, protocols, files)
            assert operator.csms.protocol("CP001") == protocols[0]
            # A station that has lost its state still knows whom to trust and who it is.
            await operator.restart((place / "state" / "pilotwire.db").unlink)
        finally:
            await operator.close()

    asyncio.run(life())


def test_a_certificate_of_the_configuration_that_is_none_stops_the_start(place):
    async def life():
        operator = Operator(place)
        (place / "root.pem").write_text(operator.ca.issue("x").pem)
        operator.plain = await listen(operator.csms)
        operator.secure = await listen(operator.csms)
        operator.write(1, ("ocpp1.6",), '[security]\ncsms_roots = ["root.pem"]')
        operator.agent = Agent(place / "agent.toml")
        try:
            code = await asyncio.to_thread(operator.agent.process.wait, LIMIT_S)
            assert code == 78
            assert "root.pem: it is not a CA certificate" in operator.agent.text
        finally:
            await operator.close()

    asyncio.run(life())
