import asyncio
from contextlib import asynccontextmanager

import pytest
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.bench.csms import Csms
from agent.bench.listener import identity_of, listen
from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget, LinkClosed
from agent.transport.websocket import WebSocketDialer
from tests.bench.station import NOON, NOON_S, TOKEN, Station, instant

PROTOCOLS = ("ocpp2.0.1", "ocpp1.6")


@asynccontextmanager
async def listening():
    csms = Csms(now=lambda: NOON_S)
    listener = await listen(csms)
    try:
        yield csms, f"ws://127.0.0.1:{listener.port}/ocpp"
    finally:
        await listener.close()


async def dial(url, protocols=PROTOCOLS, identity="CP001", **more):
    target = DialTarget(url=url, identity=identity, protocols=protocols, **more)
    return await WebSocketDialer().dial(target, ping_interval_s=0, ping_timeout_s=5)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (PROTOCOLS, "ocpp2.0.1"),
        (("ocpp1.6", "ocpp2.0.1"), "ocpp2.0.1"),
        (("ocpp1.6",), "ocpp1.6"),
    ],
)
def test_our_own_transport_agrees_on_the_version_the_csms_likes_best(offered, agreed):
    async def main():
        async with listening() as (csms, url):
            link = await dial(url, offered)
            assert link.subprotocol == agreed
            station = Station(link)
            reader = asyncio.create_task(station.run())
            assert await station.call("Heartbeat", {}) == {"currentTime": NOON}
            assert csms.protocol("CP001") == agreed
            await csms.drop("CP001")
            await reader
            assert "1000" in station.gone

    asyncio.run(main())


def test_the_last_part_of_the_path_is_the_identity():
    assert identity_of("/ocpp/CP001") == "CP001"
    assert identity_of("/a/b/RDAM%20123%2F4?x=/y") == "RDAM 123/4"
    assert identity_of("/ocpp/") == ""


def test_an_identity_that_needs_quoting_arrives_as_it_is():
    async def main():
        async with listening() as (csms, url):
            link = await dial(url, identity="RDAM 123/4")
            await csms.until(lambda: csms.connected == ("RDAM 123/4",), 5.0)
            await link.close(1000, "")
            await csms.until(lambda: not csms.connected, 5.0)

    asyncio.run(main())


def test_a_password_is_asked_for_and_checked():
    async def main():
        async with listening() as (csms, url):
            csms.behaviour.password = "sesame"
            for password in (None, b"wrong"):
                with pytest.raises(DialError) as refused:
                    await dial(url, security_profile=1 if password else 0, password=password)
                assert refused.value.refusal is DialRefusal.CREDENTIALS
            link = await dial(url, security_profile=1, password=b"sesame")
            await link.close(1000, "")
            csms.behaviour.password = b"\x00\xff"
            link = await dial(url, security_profile=1, password=b"\x00\xff")
            await link.close(1000, "")

    asyncio.run(main())


@pytest.mark.parametrize("header", ["Basic ?", "Basic", "Bearer Q1AwMDE6c2VzYW1l", "Basic é"])
def test_a_broken_credential_is_refused(header):
    async def main():
        async with listening() as (csms, url):
            csms.behaviour.password = "sesame"
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    f"{url}/CP001",
                    subprotocols=["ocpp1.6"],
                    additional_headers={"Authorization": header.encode().decode("latin-1")},
                )
            assert refused.value.response.status_code == 401
            assert refused.value.response.headers["WWW-Authenticate"] == 'Basic realm="OCPP"'

    asyncio.run(main())


def test_handshakes_can_be_refused_with_any_status():
    async def main():
        async with listening() as (csms, url):
            seen = []
            csms.watch(seen.append)
            csms.behaviour.http_status = 503
            with pytest.raises(DialError) as refused:
                await dial(url)
            assert refused.value.refusal is DialRefusal.BUSY
            assert seen[0].reason == "HTTP 503 Service Unavailable"

    asyncio.run(main())


def test_a_station_without_an_identity_is_not_found():
    async def main():
        async with listening() as (_, url):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}/", subprotocols=["ocpp1.6"])
            assert refused.value.response.status_code == 404

    asyncio.run(main())


def test_a_station_that_shares_no_version_is_hung_up_on():
    async def main():
        async with listening() as (csms, url):
            csms.behaviour.subprotocols = ("ocpp1.6",)
            async with connect(f"{url}/CP001") as socket:
                assert socket.subprotocol is None
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd.code == 1002
            with pytest.raises(DialError):
                await dial(url, ("ocpp2.0.1",))

    asyncio.run(main())


def test_an_answer_to_a_station_that_is_gone_is_dropped():
    async def main():
        async with listening() as (csms, url):
            link = await dial(url)
            await csms.until(lambda: csms.connected, 5.0)
            session = csms._session("CP001")
            session.link.set_ping_interval(5.0)
            await link.close(1000, "")
            await csms.until(lambda: not csms.connected, 5.0)
            with pytest.raises(LinkClosed):
                await session.link.send(b"[]")

    asyncio.run(main())


def test_closing_the_listener_ends_every_link():
    async def main():
        async with listening() as (csms, url):
            link = await dial(url)
            await csms.until(lambda: csms.connected, 5.0)
        with pytest.raises(LinkClosed):
            await link.receive()

    asyncio.run(main())


class Peer16(ChargePoint16):
    """An independent station of 1.6."""

    @on("RemoteStartTransaction")
    async def started(self, id_tag, **_):
        self.remote = id_tag
        return result16.RemoteStartTransaction(status="Accepted")

    @on("ClearCache")
    async def cleared(self):
        return result16.ClearCache(status="Rejected")


class Peer201(ChargePoint201):
    """An independent station of 2.0.1."""

    @on("RequestStartTransaction")
    async def started(self, id_token, **_):
        self.remote = id_token["id_token"]
        return result201.RequestStartTransaction(status="Accepted")


@asynccontextmanager
async def peer(url, kind, protocol):
    async with connect(f"{url}/CP001", subprotocols=[protocol]) as socket:
        station = kind("CP001", socket)
        reader = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            reader.cancel()


@pytest.mark.interop
def test_an_independent_station_of_16_charges_and_is_billed():
    async def main():
        async with (
            listening() as (csms, url),
            peer(url, Peer16, "ocpp1.6") as station,
        ):
            boot = call16.BootNotification(
                charge_point_model="One", charge_point_vendor="Example"
            )
            assert (await station.call(boot)).status == "Accepted"
            assert await csms.remote_start("CP001", TOKEN) == "Accepted"
            assert station.remote == TOKEN
            started = await station.call(
                call16.StartTransaction(
                    connector_id=1, id_tag=TOKEN, meter_start=10, timestamp=NOON
                )
            )
            sampled = [{"timestamp": instant(1), "sampledValue": [{"value": "15"}]}]
            await station.call(
                call16.MeterValues(
                    connector_id=1, meter_value=sampled, transaction_id=started.transaction_id
                )
            )
            await station.call(
                call16.StopTransaction(
                    meter_stop=20, timestamp=instant(2), transaction_id=started.transaction_id
                )
            )
            answer = await csms.request("CP001", "ClearCache", {})
            assert answer == {"status": "Rejected"}
            (entry,) = csms.ledger.transactions
            assert entry.complete
            assert entry.energy_wh == 10
            assert not csms.violations

    asyncio.run(main())


@pytest.mark.interop
def test_an_independent_station_of_201_charges_and_is_billed():
    async def main():
        async with (
            listening() as (csms, url),
            peer(url, Peer201, "ocpp2.0.1") as station,
        ):
            about = {"model": "One", "vendorName": "Example"}
            boot = call201.BootNotification(charging_station=about, reason="PowerUp")
            assert (await station.call(boot)).status == "Accepted"
            assert await csms.remote_start("CP001", TOKEN) == "Accepted"
            assert station.remote == TOKEN
            for seq_no, kind in enumerate(("Started", "Updated", "Ended")):
                values = [
                    {"timestamp": instant(seq_no), "sampledValue": [{"value": 10.5 * seq_no}]}
                ]
                await station.call(
                    call201.TransactionEvent(
                        event_type=kind,
                        timestamp=instant(seq_no),
                        trigger_reason="Authorized",
                        seq_no=seq_no,
                        transaction_info={"transactionId": "tx-9"},
                        meter_value=values,
                    )
                )
            (entry,) = csms.ledger.transactions
            assert entry.complete
            assert entry.energy_wh == 21
            assert not csms.violations

    asyncio.run(main())
