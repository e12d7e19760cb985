"""What CSMSs of 1.6 and the networks before them do to a link, and that it comes to be.

Named after rows 1 to 9 of the 1.6 reference, chapter 11; on real sockets where the quirk is
one of the handshake.
"""

import asyncio
import base64
import socket

import pytest

from agent.config import load_config
from agent.core import variables
from agent.core.events import DialRefusal
from agent.core.values import RegistrationStatus
from agent.main import _dial_target
from agent.ocppj.quirks import Quirk
from agent.transport.link import DialError
from agent.transport.memory import MemoryDialer
from tests.core import test_credentials as credentials
from tests.support import vloop
from tests.support.ca import Authority
from tests.support.shell import Talk
from tests.transport.support import ACCEPT_16, dialed, raw_server, target_of, upgraded
from tests.transport.test_tls import at_home, called, server_context

FILE = """
[station]
identity = "CP001"
vendor = "Example"
model = "Wallbox One"
[hardware]
board = "board.toml"
[[csms]]
url = "{url}"
security_profile = 1
password = {{ {password} }}
protocols = ["ocpp1.6"]
"""


def requested(tmp_path, option, response, *, place='text = "correct horse"'):
    """Dial a server as a configuration says; return its request and the link."""

    async def life():
        async with raw_server(response) as server:
            path = tmp_path / "agent.toml"
            url = f"{server.url}/ocpp?token=x"
            path.write_text(FILE.format(url=url, password=place) + option)
            config = load_config(path, lambda name, value: None)
            link = await dialed(_dial_target(config, config.csms[0]))
            await link.close(1000, "")
            return server.requests[0], link

    return vloop.run(life())


def test_1_a_csms_that_names_no_subprotocol_is_taken_for_one_of_1_6(tmp_path):
    _, link = requested(tmp_path, "strict_subprotocol = false", upgraded())
    assert link.subprotocol == "ocpp1.6"
    assert link.named == ""


@pytest.mark.parametrize("told", ["OCPP1.6", " Ocpp1.6 "])
def test_2_a_subprotocol_in_another_case_or_with_blanks_is_understood(tmp_path, told):
    answer = upgraded(f"Sec-WebSocket-Protocol: {told}")
    _, link = requested(tmp_path, "strict_subprotocol = false", answer)
    assert link.subprotocol == "ocpp1.6"
    assert link.named == told.strip()


@pytest.mark.parametrize(
    ("named", "noted"),
    [
        ("", {Quirk.NO_SUBPROTOCOL.value: 2}),
        ("OCPP1.6", {Quirk.OTHER_SUBPROTOCOL.value: 2}),
        ("ocpp1.6", {}),
    ],
)
def test_1_2_a_muddled_subprotocol_is_counted_with_every_link(named, noted):
    class Muddler(MemoryDialer):
        async def dial(self, target, **options):
            link = await super().dial(target, **options)
            link.named = named
            return link

    async def life():
        async with Talk("ocpp1.6", dialer=Muddler) as talk:
            await talk.online()
            await talk.link.close(1001, "deploy")
            talk.link = await talk.dialer.accept()
            await asyncio.sleep(1)
            assert talk.station.tolerated == noted

    vloop.run(life())


@pytest.mark.parametrize(
    ("option", "path"),
    [("", "/ocpp/CP001?token=x"), ("append_identity = false", "/ocpp?token=x")],
)
def test_3_an_endpoint_that_holds_the_identity_already_is_dialed_as_it_is(
    tmp_path, option, path
):
    request, _ = requested(tmp_path, option, ACCEPT_16)
    assert request.path == path
    assert request.headers["authorization"] == "Basic Q1AwMDE6Y29ycmVjdCBob3JzZQ=="


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012])
def test_4_a_csms_that_closes_again_and_again_is_dialed_ever_later(code):
    async def life():
        async with Talk("ocpp1.6") as talk:
            loop = asyncio.get_running_loop()
            pauses_s = []
            for _ in range(6):
                await talk.link.close(code, "an old session still exists")
                closed_s = loop.time()
                talk.link = await talk.dialer.accept()
                pauses_s.append(loop.time() - closed_s)
            assert min(pauses_s) > 0
            assert pauses_s[-1] > 4 * pauses_s[0]
            await talk.boot()  # and when the CSMS is itself again, all goes on
            await talk.hear()
            assert talk.station.provisioning.registration is RegistrationStatus.ACCEPTED

    vloop.run(life())


def test_5_a_balancer_that_kills_silent_links_hears_a_ping_in_time():
    async def life():
        async with Talk("ocpp1.6") as talk:
            await talk.online()
            assert 0 < talk.dialer._link.ping_interval_s <= 30.0

    vloop.run(life())


def test_6_a_pong_with_another_payload_is_a_sign_of_life():
    async def life():
        async with raw_server(ACCEPT_16) as server:
            link = await dialed(target_of(server.url), ping_interval_s=30.0)
            receiving = asyncio.create_task(link.receive())
            for _ in range(5):
                await asyncio.sleep(31.0)
                server.writers[0].write(b"\x8a\x07another")
            assert not receiving.done()
            receiving.cancel()
            await asyncio.wait([receiving])
            await link.close(1000, "")

    vloop.run(life())


def test_6_a_csms_that_ignores_pings_is_kept_by_switching_them_off():
    async def life():
        async with Talk("ocpp1.6", **{variables.PING_INTERVAL.name: "0"}) as talk:
            await talk.online()
            assert talk.dialer._link.ping_interval_s == 0.0

    vloop.run(life())


def test_7_a_chain_without_its_intermediate_is_trusted_through_an_installed_one(tmp_path):
    root = Authority()
    middle = Authority("middle", root)
    server = middle.issue("csms", names=["localhost"])
    server.chain = server.pem
    server.write(tmp_path, "name")
    context = server_context(tmp_path, "name")
    error = called(tmp_path, context, roots=(root.write(tmp_path, "root"),))
    assert error.refusal is DialRefusal.CERTIFICATE
    assert "unable to get local issuer certificate" in error.reason
    middle.chain = middle.pem
    assert called(tmp_path, context, roots=(middle.write(tmp_path, "middle"),))[2] == "TLSv1.3"


@pytest.mark.parametrize(
    ("names", "common_name", "is_met"),
    [
        (["csms.cloud.example"], "csms", True),
        ([], "csms.cloud.example", True),
        (["*.cloud.example"], "csms", True),
        (["other.cloud.example"], "csms.cloud.example", False),
    ],
    ids=["alternative name only", "common name only", "wildcard", "another name"],
)
def test_7_a_server_is_known_by_any_name_that_is_its_own(
    tmp_path, monkeypatch, names, common_name, is_met
):
    monkeypatch.setattr(socket, "getaddrinfo", at_home(socket.getaddrinfo))
    ca = Authority()
    ca.issue(common_name, names=names).write(tmp_path, "name")
    target = {"roots": (ca.write(tmp_path, "root"),), "allow_wildcards": True}
    context = server_context(tmp_path, "name")
    seen = called(tmp_path, context, host="csms.cloud.example", **target)
    assert (not isinstance(seen, DialError)) is is_met


def test_7_a_root_that_others_have_signed_too_is_trusted_by_any_of_them(tmp_path):
    old, new = Authority("old"), Authority("new")
    crossed = Authority("new", old, key=new.key)  # the same name and key, by the old root
    server = new.issue("csms", names=["localhost"])
    server.chain = server.pem + crossed.pem
    server.write(tmp_path, "name")
    context = server_context(tmp_path, "name")
    for root in (old, new):
        assert called(tmp_path, context, roots=(root.write(tmp_path, "root"),))[2] == "TLSv1.3"


@pytest.mark.parametrize(
    ("option", "password"),
    [("", b"\xc3\xa9\xff"), ('basic_auth_encoding = "hex_text"', b"C3A9FF")],
)
def test_8_a_csms_that_takes_the_hex_digits_for_the_password_gets_them(
    tmp_path, option, password
):
    (tmp_path / "secret").write_bytes(b"\xc3\xa9\xff")
    request, _ = requested(tmp_path, option, ACCEPT_16, place='file = "secret"')
    credentials = base64.b64encode(b"CP001:" + password).decode()
    assert request.headers["authorization"] == f"Basic {credentials}"


def test_9_a_new_key_that_is_refused_for_some_minutes_is_tried_until_it_is_taken():
    bench = credentials.linked(1)
    credentials.write(bench, "AuthorizationKey", credentials.KEY)
    credentials.down(bench)
    shown = []
    while bench.now_s < 300.0:
        shown.append(credentials.presented(bench).password)
        credentials.refuse(bench)
    assert shown.count(credentials.KEY_TEXT) > 2
    while credentials.presented(bench).password != credentials.KEY_TEXT:
        credentials.refuse(bench)
    credentials.up(bench)
    assert credentials.presented(bench).password == credentials.KEY_TEXT
