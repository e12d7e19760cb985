import asyncio
import base64
import logging

import pytest

from agent import __version__
from agent.core.events import DialRefusal
from agent.transport.link import DialError
from agent.transport.websocket import (
    LONGEST_WAIT_S,
    OPEN_TIMEOUT_S,
    station_url,
)
from tests.support import vloop
from tests.transport.support import (
    ACCEPT_16,
    answer,
    csms,
    dialed,
    echo,
    raw_server,
    target_of,
    upgraded,
)


async def refusal_of(target):
    with pytest.raises(DialError) as caught:
        await dialed(target)
    return caught.value


# --- the address ---


@pytest.mark.parametrize(
    ("url", "identity", "expected"),
    [
        ("ws://host/ocpp", "CP001", "ws://host/ocpp/CP001"),
        ("ws://host/ocpp/", "CP001", "ws://host/ocpp/CP001"),
        ("ws://host", "CP001", "ws://host/CP001"),
        ("ws://host:9000/ocppj", "RDAM 123", "ws://host:9000/ocppj/RDAM%20123"),
        ("ws://host/a?token=x%2Fy&b=1", "a/b", "ws://host/a/a%2Fb?token=x%2Fy&b=1"),
        ("ws://[::1]:80/a#part", "ü-._~", "ws://[::1]:80/a/%C3%BC-._~"),
    ],
)
def test_the_identity_goes_encoded_into_the_path(url, identity, expected):
    assert station_url(target_of(url, identity=identity)) == expected


@pytest.mark.parametrize(
    ("url", "profile", "wanted"),
    [
        ("wss://host/ocpp", 0, "ws"),
        ("wss://host/ocpp", 1, "ws"),
        ("ws://host/ocpp", 2, "wss"),
        ("ws://host/ocpp", 3, "wss"),
        ("http://host/ocpp", 1, "ws"),
        ("ws:///ocpp", 0, "ws"),
    ],
)
def test_the_scheme_must_fit_the_security_profile(url, profile, wanted):
    with pytest.raises(DialError, match=f"security profile {profile} needs .* {wanted}://"):
        station_url(target_of(url, security_profile=profile))


def test_credentials_in_the_url_are_refused():
    with pytest.raises(DialError, match="must not hold credentials") as caught:
        station_url(target_of("ws://user:secret@host/ocpp"))
    assert "secret" not in str(caught.value)


# --- the request ---


def request_for(**fields):
    async def life():
        async with raw_server(ACCEPT_16) as server:
            link = await dialed(target_of(f"{server.url}/ocpp?token=x", **fields))
            await link.close(1000, "")
            return server.requests[0], link

    return vloop.run(life())


def test_the_request_says_who_calls_and_what_is_spoken():
    request, link = request_for()
    assert request.path == "/ocpp/CP001?token=x"
    assert request.headers["sec-websocket-protocol"] == "ocpp2.0.1, ocpp1.6"
    assert request.headers["user-agent"] == f"pilotwire/{__version__}"
    assert "authorization" not in request.headers
    assert "sec-websocket-extensions" not in request.headers
    assert link.subprotocol == "ocpp1.6"
    assert link.url.endswith("/ocpp/CP001")


@pytest.mark.parametrize(
    ("password", "header"),
    [
        (b"OCA_OCTT_admin_test", "Q1AwMDE6T0NBX09DVFRfYWRtaW5fdGVzdA=="),
        (
            bytes.fromhex("000102030405060708090A0B0C0D0E0F10111213"),
            "Q1AwMDE6AAECAwQFBgcICQoLDA0ODxAREhM=",
        ),
    ],
)
def test_profile_1_sends_the_password_as_bytes(password, header):
    request, _ = request_for(security_profile=1, password=password)
    found = [value for name, value in request.lines if name.lower() == "authorization"]
    assert found == [f"Basic {header}"]


def test_the_password_never_appears_in_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    request_for(security_profile=1, password=b"correct horse")
    assert "correct horse" not in caplog.text
    assert base64.b64encode(b"CP001:correct horse").decode() not in caplog.text


def test_profile_1_without_a_password_does_not_call():
    async def life():
        async with raw_server(ACCEPT_16) as server:
            error = await refusal_of(target_of(server.url, security_profile=1))
            assert error.refusal is DialRefusal.CREDENTIALS
            assert "needs a password" in error.reason
            assert server.requests == []

    vloop.run(life())


def test_proxies_of_the_environment_are_ignored(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    assert request_for()[0].path


# --- the subprotocol ---


@pytest.mark.parametrize("chosen", ["ocpp1.6", "ocpp2.0.1"])
def test_the_csms_chooses_among_the_offered(chosen):
    async def life():
        async with csms(echo, subprotocols=[chosen]) as url:
            link = await dialed(target_of(url))
            await link.close(1000, "")
            return link.subprotocol

    assert vloop.run(life()) == chosen


def negotiated(*headers, **fields):
    async def life():
        async with raw_server(upgraded(*headers)) as server:
            try:
                link = await dialed(target_of(server.url, **fields))
            except DialError as error:
                return error, bytes(server.received)
            await link.close(1000, "")
            return link.subprotocol, bytes(server.received)

    return vloop.run(life())


@pytest.mark.parametrize(
    "header",
    [
        "Sec-WebSocket-Protocol: ocpp2.1",
        "Sec-WebSocket-Protocol: OCPP1.6",
        "Sec-WebSocket-Protocol: ocpp2.0.1, ocpp1.6",
    ],
)
def test_a_subprotocol_that_was_not_offered_ends_the_dial(header):
    error, _ = negotiated(header)
    assert error.refusal is DialRefusal.SUBPROTOCOL
    assert "which was not offered" in error.reason


def test_odd_case_and_blanks_are_tolerated_when_not_strict():
    header = "Sec-WebSocket-Protocol:   OCPP1.6  "
    assert negotiated(header, strict_subprotocol=False)[0] == "ocpp1.6"


def test_a_foreign_subprotocol_is_never_tolerated():
    error, _ = negotiated("Sec-WebSocket-Protocol: ocpp1.5", strict_subprotocol=False)
    assert error.refusal is DialRefusal.SUBPROTOCOL


def test_a_missing_subprotocol_is_closed_with_1002():
    error, received = negotiated()
    assert error.refusal is DialRefusal.SUBPROTOCOL
    assert "ocpp2.0.1, ocpp1.6" in error.reason
    mask, payload = received[2:6], received[6:8]
    code = bytes(byte ^ mask[index] for index, byte in enumerate(payload))
    assert received[0] == 0x88
    assert int.from_bytes(code, "big") == 1002


def test_a_missing_subprotocol_passes_as_1_6_when_that_alone_was_offered():
    fields = {"strict_subprotocol": False, "protocols": ("ocpp1.6",)}
    assert negotiated(**fields)[0] == "ocpp1.6"
    assert negotiated(strict_subprotocol=False)[0].refusal is DialRefusal.SUBPROTOCOL


# --- refusals ---


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        ("401 Unauthorized", DialRefusal.CREDENTIALS),
        ("403 Forbidden", DialRefusal.CREDENTIALS),
        ("404 Not Found", DialRefusal.UNKNOWN_STATION),
        ("429 Too Many Requests", DialRefusal.BUSY),
        ("503 Service Unavailable", DialRefusal.BUSY),
        ("500 Internal Server Error", DialRefusal.UNREACHABLE),
        ("200 OK", DialRefusal.UNREACHABLE),
        ("599 Whatever", DialRefusal.UNREACHABLE),
    ],
)
def test_a_status_says_what_it_means_for_the_next_dial(status, refusal):
    async def life():
        async with raw_server(answer(f"HTTP/1.1 {status}")) as server:
            return await refusal_of(target_of(server.url))

    error = vloop.run(life())
    assert error.refusal is refusal
    assert error.reason == f"the server answered {status}"
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["Retry-After: 120"], 120.0),
        (["Retry-After: 0"], 0.0),
        (["Retry-After: 9999999999999999999"], LONGEST_WAIT_S),
        (["Retry-After: -5"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"], None),
        (
            [
                "Date: Wed, 21 Oct 2026 07:27:00 GMT",
                "Retry-After: Wed, 21 Oct 2026 07:28:30 GMT",
            ],
            90.0,
        ),
        (
            [
                "Date: Wed, 21 Oct 2026 07:28:00 GMT",
                "Retry-After: Wed, 21 Oct 2026 07:27:00 GMT",
            ],
            0.0,
        ),
        (
            ["Date: Wed, 21 Oct 2026 07:28:00", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"],
            None,
        ),
    ],
)
def test_a_busy_server_may_say_when_to_come_again(headers, expected):
    async def life():
        response = answer("HTTP/1.1 503 Service Unavailable", *headers)
        async with raw_server(response) as server:
            return await refusal_of(target_of(server.url))

    assert vloop.run(life()).retry_after_s == expected


def test_nobody_listening_is_unreachable():
    async def life():
        async with raw_server("") as server:
            pass
        return await refusal_of(target_of(server.url))

    error = vloop.run(life())
    assert error.refusal is DialRefusal.UNREACHABLE
    assert "Connect call failed" in error.reason


@pytest.mark.parametrize("response", ["no http at all\r\n\r\n", answer("HTTP/1.1 101 OK")])
def test_a_server_that_speaks_something_else_is_unreachable(response):
    async def life():
        async with raw_server(response) as server:
            return await refusal_of(target_of(server.url))

    assert vloop.run(life()).refusal is DialRefusal.UNREACHABLE


@pytest.mark.parametrize("url", ["ws://[half/ocpp", "ws://host:port/ocpp", "ws://.../ocpp"])
def test_a_broken_address_is_unreachable(url):
    assert vloop.run(refusal_of(target_of(url))).refusal is DialRefusal.UNREACHABLE


def test_a_silent_server_is_given_up():
    async def life():
        async with raw_server("") as server:
            error = await refusal_of(target_of(server.url))
            assert asyncio.get_running_loop().time() == pytest.approx(OPEN_TIMEOUT_S)
            return error

    error = vloop.run(life())
    assert error.refusal is DialRefusal.UNREACHABLE
    assert error.reason == "no connection within 20 s"


# --- redirects ---


def moved(location, status="302 Found"):
    return answer(f"HTTP/1.1 {status}", *([f"Location: {location}"] if location else []))


@pytest.mark.parametrize("status", ["301 x", "302 x", "303 x", "307 x", "308 x"])
@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_one_redirect_is_followed_with_the_credentials(status, scheme):
    async def life():
        async with raw_server(ACCEPT_16) as there:
            location = f"{scheme}://127.0.0.1:{there.port}/new?shard=7"
            async with raw_server(moved(location, status)) as here:
                target = target_of(here.url, security_profile=1, password=b"p")
                link = await dialed(target)
                await link.close(1000, "")
            assert there.requests[0].path == "/new?shard=7"
            assert "authorization" in there.requests[0].headers
            assert link.url == f"ws://127.0.0.1:{there.port}/new"

    vloop.run(life())


def test_a_relative_redirect_stays_on_the_server():
    async def life():
        async with raw_server(moved("/v2/CP001"), ACCEPT_16) as server:
            link = await dialed(target_of(f"{server.url}/ocpp"))
            await link.close(1000, "")
            assert [request.path for request in server.requests] == ["/ocpp/CP001", "/v2/CP001"]

    vloop.run(life())


@pytest.mark.parametrize("location", ["/again", None])
def test_a_second_redirect_or_one_to_nowhere_is_not_followed(location):
    async def life():
        async with raw_server(moved(location)) as server:
            error = await refusal_of(target_of(server.url))
            assert len(server.requests) == (2 if location else 1)
            return error

    error = vloop.run(life())
    assert error.refusal is DialRefusal.UNREACHABLE
    assert error.reason == "the server redirects more than once, or to nowhere"


@pytest.mark.parametrize("location", ["ftp://host/x", "ws://user:secret@host/x"])
def test_a_redirect_to_an_unfit_address_is_refused(location):
    async def life():
        async with raw_server(moved(location)) as server:
            return await refusal_of(target_of(server.url))

    assert vloop.run(life()).reason.startswith("refused a redirect to ")
