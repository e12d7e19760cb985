import asyncio
import ssl

import pytest

from agent.bench.csms import Csms
from agent.bench.listener import listen, server_tls
from agent.core.events import DialRefusal
from agent.transport.link import DialError, DialTarget
from agent.transport.websocket import WebSocketDialer
from tests.bench.station import NOON_S
from tests.support.ca import Authority

SERIAL = "EX-0001"
KEY = bytes(range(20))


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A CSMS's certificate, and stations' of every kind."""
    directory = tmp_path_factory.mktemp("pki")
    ca, stranger = Authority("root"), Authority("stranger")
    ca.write(directory, "root")
    ca.issue("csms", names=["localhost"]).write(directory, "csms")
    ca.issue(SERIAL, organization="Example CPO").write(directory, "station")
    ca.issue("EX-0002").write(directory, "other")
    ca.issue(SERIAL, begins=-30, ends=-1).write(directory, "expired")
    ca.issue(SERIAL, begins=1).write(directory, "early")
    stranger.issue(SERIAL).write(directory, "foreign")
    Authority(SERIAL, is_ca=False).write(directory, "self-signed")
    Authority("middle", ca).issue(SERIAL).write(directory, "chained")
    revoked = ca.issue(SERIAL)
    revoked.write(directory, "revoked")
    (directory / "roots-and-crl.pem").write_text(ca.pem + ca.revoke(revoked))
    return directory


def met(pki, *, client_roots=None, name=None, wanted=None, scheme="wss", **fields):
    """Dial the bench CSMS; return what a link says of itself, or the refusal."""

    async def life():
        csms = Csms(now=lambda: NOON_S)
        csms.behaviour.client_name, csms.behaviour.password = name, wanted
        roots = pki / client_roots if client_roots else None
        tls = server_tls(pki / "csms.pem", pki / "csms.key", roots)
        listener = await listen(csms, tls=tls if scheme == "wss" else None)
        url = f"{scheme}://localhost:{listener.port}/ocpp"
        target = DialTarget(url, "CP001", ("ocpp1.6",), roots=(pki / "root.pem",), **fields)
        try:
            link = await WebSocketDialer().dial(target, ping_interval_s=0, ping_timeout_s=5)
            return link.subprotocol  # noqa: TRY300
        except DialError as error:
            return error
        finally:
            await listener.close()

    return asyncio.run(life())


def profile3(pki, station):
    files = {"certificate": pki / f"{station}.pem", "key": pki / f"{station}.key"}
    return {"security_profile": 3, **files}


@pytest.mark.parametrize(("scheme", "profile"), [("ws", 1), ("wss", 2)])
def test_basic_authentication_is_of_bytes(pki, scheme, profile):
    fields = {"scheme": scheme, "security_profile": profile}
    assert met(pki, wanted=KEY, password=KEY, **fields) == "ocpp1.6"
    told = met(pki, wanted=KEY, password=KEY.hex().encode(), **fields)
    assert told.refusal is DialRefusal.CREDENTIALS
    assert "401" in told.reason


@pytest.mark.parametrize("station", ["station", "chained"])
def test_profile_3_wants_a_certificate_and_no_password(pki, station):
    told = met(pki, client_roots="root.pem", name=SERIAL, **profile3(pki, station))
    assert told == "ocpp1.6"


@pytest.mark.parametrize("station", ["expired", "early", "foreign", "self-signed", "revoked"])
def test_a_certificate_that_proves_nothing_is_refused(pki, station):
    told = met(pki, client_roots="roots-and-crl.pem", **profile3(pki, station))
    assert told.refusal is DialRefusal.CREDENTIALS
    assert met(pki, client_roots="roots-and-crl.pem", **profile3(pki, "station")) == "ocpp1.6"


def test_the_certificate_of_another_station_is_refused(pki):
    told = met(pki, client_roots="root.pem", name=SERIAL, **profile3(pki, "other"))
    assert told.refusal is DialRefusal.CREDENTIALS
    assert "403" in told.reason


def test_a_station_without_a_certificate_does_not_get_in(pki):
    told = met(pki, client_roots="root.pem", security_profile=2, password=KEY)
    assert isinstance(told, DialError)


def test_files_that_hold_something_else_are_refused(pki):
    with pytest.raises(ssl.SSLError):
        server_tls(pki / "root.key")
    with pytest.raises(FileNotFoundError):
        server_tls(pki / "csms.pem", pki / "csms.key", pki / "missing.pem")
