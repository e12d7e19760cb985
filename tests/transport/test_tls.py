import asyncio
import socket
import ssl
import subprocess
import warnings
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.server import serve

from agent.bench.keeper import wall_s
from agent.core.events import DialRefusal
from agent.transport import tls
from agent.transport.link import DialError, DialTarget, TrustedTime
from agent.transport.websocket import WebSocketDialer
from tests.support.ca import DAY_S, Authority
from tests.transport.support import raw_server

ISSUED = {
    "name": ("/CN=csms", "subjectAltName=DNS:localhost", "30"),
    "address": ("/CN=csms", "subjectAltName=IP:127.0.0.1,IP:::1", "30"),
    "common-name": ("/CN=localhost", "basicConstraints=CA:FALSE", "30"),
    "common-address": ("/CN=127.0.0.1", "basicConstraints=CA:FALSE", "30"),
    "other": ("/CN=localhost", "subjectAltName=DNS:other.example,IP:192.0.2.1", "30"),
    "expired": ("/CN=csms", "subjectAltName=DNS:localhost", "-1"),
    "station": ("/CN=EX-0001/O=Example", "extendedKeyUsage=clientAuth", "30"),
}
CLIENT_EXTENSIONS = "basicConstraints=CA:FALSE"


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def make_key(directory, name, *options):
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl(directory, "req", "-new", *curve, "-keyout", f"{name}.key", *options)


def make_root(directory, name):
    self_signed = ("-x509", "-nodes", "-subj", f"/CN={name}", "-out", f"{name}.pem")
    make_key(directory, name, *self_signed, "-days", "30")


def sign(directory, name, issuer, extension, days):
    (directory / "extensions").write_text(f"{extension}\n")
    openssl(
        directory,
        *("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", days),
        *("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"),
        *("-extfile", "extensions"),
    )


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Keys and certificates in one directory, made by OpenSSL's own tool."""
    directory = tmp_path_factory.mktemp("pki")
    for name in ("root", "stranger"):
        make_root(directory, name)
    for name, (subject, extension, days) in ISSUED.items():
        request = ("-nodes", "-subj", subject, "-out", f"{name}.csr")
        make_key(directory, name, *request)
        sign(directory, name, "root", extension, days)
    make_key(directory, "new-root", "-nodes", "-subj", "/CN=new", "-out", "new-root.csr")
    sign(directory, "new-root", "root", "basicConstraints=critical,CA:TRUE", "30")
    make_key(directory, "new", "-nodes", "-subj", "/CN=csms", "-out", "new.csr")
    sign(directory, "new", "new-root", "subjectAltName=DNS:localhost", "30")
    locked = ("-aes256", "-passout", "pass:x", "-out", "locked.key")
    openssl(directory, "ec", "-in", "station.key", *locked)
    return directory


def server_context(pki, name, **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    for setting, value in settings.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions on purpose
            setattr(context, setting, value)
    return context


@asynccontextmanager
async def csms(context):
    """Serve a real peer over TLS; yields its port and what it saw of each client."""
    seen = []

    async def handler(connection):
        session = connection.transport.get_extra_info("ssl_object")
        seen.append((connection.request.headers, session.getpeercert(), session.version()))
        await connection.wait_closed()

    async with serve(
        handler, "127.0.0.1", 0, ssl=context, subprotocols=["ocpp2.0.1"], compression=None
    ) as server:
        yield server.sockets[0].getsockname()[1], seen


def target_of(pki, port, host="localhost", **fields):
    fields = {
        "security_profile": 2,
        "password": b"p",
        "roots": (pki / "root.pem",),
        **fields,
    }
    return DialTarget(f"wss://{host}:{port}/ocpp", "CP001", ("ocpp2.0.1",), **fields)


def called(pki, context, **fields):
    """Dial a server; return what it saw, or the refusal."""

    async def life():
        async with csms(context) as (port, seen):
            dialing = WebSocketDialer().dial(
                target_of(pki, port, **fields), ping_interval_s=0.0, ping_timeout_s=5.0
            )
            try:
                link = await dialing
            except DialError as error:
                assert not seen
                return error
            await link.close(1000, "")
            return seen[0]

    return asyncio.run(life())


@pytest.mark.parametrize(
    ("certificate", "host"),
    [
        ("name", "localhost"),
        ("common-name", "localhost"),
        ("address", "127.0.0.1"),
        ("common-address", "127.0.0.1"),
    ],
)
def test_profile_2_connects_to_a_server_that_proves_its_name(pki, certificate, host):
    headers, client, version = called(pki, server_context(pki, certificate), host=host)
    assert headers["Authorization"].startswith("Basic ")
    assert client is None
    assert version == "TLSv1.3"


@pytest.mark.parametrize(
    ("certificate", "host", "reason"),
    [
        ("other", "localhost", "Hostname mismatch"),
        ("other", "127.0.0.1", "certificate is not valid for 127.0.0.1"),
        ("name", "127.0.0.1", "certificate is not valid for 127.0.0.1"),
        ("common-name", "127.0.0.1", "certificate is not valid for 127.0.0.1"),
        ("address", "localhost", "Hostname mismatch"),
        ("expired", "localhost", "certificate has expired"),
    ],
)
def test_nothing_is_sent_to_a_server_with_the_wrong_certificate(pki, certificate, host, reason):
    error = called(pki, server_context(pki, certificate), host=host)
    assert error.refusal is DialRefusal.CERTIFICATE
    assert reason in error.reason


def test_only_the_given_roots_are_trusted(pki):
    error = called(pki, server_context(pki, "name"), roots=(pki / "stranger.pem",))
    assert "certificate verify failed" in error.reason


def test_one_of_several_roots_is_enough(pki):
    roots = (pki / "stranger.pem", pki / "root.pem")
    assert called(pki, server_context(pki, "name"), roots=roots)[2] == "TLSv1.3"


def test_a_new_root_that_the_old_one_signed_is_trusted_by_itself(pki):
    context = server_context(pki, "new")
    assert called(pki, context, roots=(pki / "new-root.pem",))[2] == "TLSv1.3"


def test_without_an_installed_root_no_server_is_trusted(pki, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pki / "root.pem"))
    error = called(pki, server_context(pki, "name"), roots=())
    assert error.refusal is DialRefusal.UNREACHABLE
    assert "no CSMS root certificate is installed" in error.reason


def test_profile_3_shows_the_stations_certificate_and_no_password(pki):
    context = server_context(pki, "name", verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(pki / "root.pem")
    keys = {"certificate": pki / "station.pem", "key": pki / "station.key"}
    headers, client, _ = called(pki, context, security_profile=3, **keys)
    assert "Authorization" not in headers
    assert (("commonName", "EX-0001"),) in client["subject"]


def test_profile_2_shows_no_certificate_even_if_there_is_one(pki):
    context = server_context(pki, "name", verify_mode=ssl.CERT_OPTIONAL)
    context.load_verify_locations(pki / "root.pem")
    keys = {"certificate": pki / "station.pem", "key": pki / "station.key"}
    _, client, _ = called(pki, context, **keys)
    assert not client


def test_tls_1_2_is_enough(pki):
    context = server_context(pki, "name", maximum_version=ssl.TLSVersion.TLSv1_2)
    assert called(pki, context)[2] == "TLSv1.2"


def test_tls_1_1_is_refused_by_us(pki):
    old = ssl.TLSVersion.TLSv1_1
    context = server_context(pki, "name", minimum_version=old, maximum_version=old)
    context.set_ciphers("ALL:@SECLEVEL=0")
    error = asyncio.run(called_with_alerts(pki, context))
    assert error.refusal is DialRefusal.TLS_VERSION
    assert "ALERT_PROTOCOL_VERSION" in error.reason
    # asyncio's server hangs up without a word: what it would have had is found out.
    error = called(pki, context)
    assert error.refusal is DialRefusal.TLS_VERSION
    assert error.reason == "no common TLS version: ConnectionResetError"


async def called_with_alerts(pki, context, **fields):
    """Dial a blocking server, which unlike asyncio's tells why a handshake fails."""

    def serve_once():
        connection, _ = listening.accept()
        listening.close()
        with connection, suppress(ConnectionError):
            with suppress(ssl.SSLError), connection.dup() as copy:
                context.wrap_socket(copy, server_side=True)
            while connection.recv(4096):  # what is left unread would overtake the alert
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(serve_once))
        target = target_of(pki, listening.getsockname()[1], **fields)
        with pytest.raises(DialError) as caught:
            await WebSocketDialer().dial(target, ping_interval_s=0.0, ping_timeout_s=5.0)
        await serving
    return caught.value


def test_a_suite_that_is_not_of_the_whitepaper_is_refused_by_us(pki):
    context = server_context(pki, "name", maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    error = called(pki, context)
    assert error.refusal is DialRefusal.CIPHER_SUITE
    assert error.reason == "no common cipher suite: ConnectionResetError"
    # A server that says "handshake failure" and is gone when it is asked what it would have.
    error = asyncio.run(called_with_alerts(pki, context))
    assert error.refusal is DialRefusal.CIPHER_SUITE
    assert "HANDSHAKE_FAILURE" in error.reason


def demanding(pki, root="root", **settings):
    context = server_context(pki, "name", verify_mode=ssl.CERT_REQUIRED, **settings)
    context.load_verify_locations(pki / f"{root}.pem")
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_is_not_reached_with_a_password(pki, version):
    error = called(pki, demanding(pki, maximum_version=version))
    assert error.refusal is DialRefusal.UNREACHABLE


KEYS = {"security_profile": 3, "certificate": "station.pem", "key": "station.key"}


def keys(pki):
    return {
        name: pki / value if name != "security_profile" else value
        for name, value in KEYS.items()
    }


def test_a_certificate_that_the_server_does_not_like_is_refused_credentials(pki):
    context = demanding(pki, "stranger")
    error = called(pki, context, **keys(pki))
    assert error.refusal is DialRefusal.CREDENTIALS
    assert error.reason == "the server hung up after it saw the station's certificate"
    error = asyncio.run(called_with_alerts(pki, context, **keys(pki)))
    assert error.refusal is DialRefusal.CREDENTIALS
    assert "UNKNOWN_CA" in error.reason


def test_a_server_that_is_no_tls_is_unreachable(pki):
    async def story():
        async with raw_server("HTTP/1.1 200 OK\r\n\r\n") as server:
            with pytest.raises(DialError) as caught:
                await WebSocketDialer().dial(
                    target_of(pki, server.port), ping_interval_s=0.0, ping_timeout_s=5.0
                )
        assert caught.value.refusal is DialRefusal.UNREACHABLE

    asyncio.run(story())


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        ("TLSV1_ALERT_INSUFFICIENT_SECURITY", DialRefusal.CIPHER_SUITE),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", DialRefusal.CREDENTIALS),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", DialRefusal.CREDENTIALS),
        ("UNSUPPORTED_PROTOCOL", DialRefusal.TLS_VERSION),
        ("WRONG_VERSION_NUMBER", DialRefusal.UNREACHABLE),
        (None, DialRefusal.UNREACHABLE),
    ],
)
def test_what_a_server_says_is_told_apart(reason, refusal):
    error = ssl.SSLError(1, "x")
    error.reason = reason
    assert tls.refusal_of(error) is refusal


# --- names and dates --------------------------------------------------------------------------


def dialed(tmp_path, server, ca, **fields):
    """Dial a server with this certificate; return what it saw, or the refusal."""
    server.write(tmp_path, "name")
    ca.write(tmp_path, "root")
    return called(tmp_path, server_context(tmp_path, "name"), **fields)


def test_a_wildcard_is_a_name_only_where_it_is_allowed(tmp_path, monkeypatch):
    ca = Authority()
    server = ca.issue("csms", names=["*.localhost.example"])
    monkeypatch.setattr(socket, "getaddrinfo", at_home(socket.getaddrinfo))
    host = "csms.localhost.example"
    error = dialed(tmp_path, server, ca, host=host)
    assert error.refusal is DialRefusal.CERTIFICATE
    assert f"names {host} by a wildcard only" in error.reason
    assert dialed(tmp_path, server, ca, host=host, allow_wildcards=True)[2] == "TLSv1.3"
    other = ca.issue("csms", names=["*.localhost.example", "CSMS.localhost.example"])
    assert dialed(tmp_path, other, ca, host=host)[2] == "TLSv1.3"


def at_home(resolve):
    """Return a name service on which every example is this machine."""

    def look_up(host, *args, **options):
        return resolve("127.0.0.1" if "example" in str(host) else host, *args, **options)

    return look_up


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [(1.0, 30.0, "not yet valid"), (-30.0, -1.0, "has expired"), (-1.0, 30.0, None)],
)
def test_the_system_clock_decides_about_dates_when_it_is_right(tmp_path, begins, ends, reason):
    ca = Authority(begins=-60, ends=60)
    told = dialed(tmp_path, ca.issue("csms", names=["localhost"], begins=begins, ends=ends), ca)
    if reason is None:
        assert told[2] == "TLSv1.3"
    else:
        assert told.refusal is DialRefusal.CERTIFICATE
        assert reason in told.reason


@pytest.mark.parametrize(
    ("days", "is_known", "reason"),
    [
        (0.0, True, None),
        (-90.0, True, "not yet valid"),
        (90.0, True, "has expired"),
        (-90.0, False, None),
        (90.0, False, "has expired"),
    ],
)
def test_otherwise_the_stations_own_time_decides(tmp_path, days, is_known, reason):
    ca = Authority(begins=-60, ends=60)
    server = ca.issue("csms", names=["localhost"], begins=-30, ends=30)
    time = TrustedTime(wall_s() + days * DAY_S, is_known)
    told = dialed(tmp_path, server, ca, time=time)
    if reason is None:
        assert told[2] == "TLSv1.3"
    else:
        assert told.refusal is DialRefusal.CERTIFICATE
        assert reason in told.reason


def test_an_intermediate_that_has_expired_is_found_by_the_stations_own_time(tmp_path):
    root = Authority(begins=-300, ends=300)
    middle = Authority("middle", root, begins=-30, ends=10)
    server = middle.issue("csms", names=["localhost"], begins=-30, ends=30)
    time = TrustedTime(wall_s() + 20 * DAY_S, is_known=True)
    assert "has expired" in dialed(tmp_path, server, root, time=time).reason
    assert dialed(tmp_path, server, root)[2] == "TLSv1.3"


def test_a_link_says_which_root_vouched_for_the_server(tmp_path):
    root, other = Authority("root"), Authority("other")
    Authority("middle", root).issue("csms", names=["localhost"]).write(tmp_path, "name")
    roots = tuple(ca.write(tmp_path, name) for ca, name in ((other, "other"), (root, "root")))

    async def story():
        async with csms(server_context(tmp_path, "name")) as (port, _):
            link = await WebSocketDialer().dial(
                target_of(tmp_path, port, roots=roots), ping_interval_s=0.0, ping_timeout_s=5.0
            )
            await link.close(1000, "")
            assert link.root == root.fingerprint

    asyncio.run(story())


def test_every_suite_of_the_whitepaper_is_offered_ephemeral_keys_first(pki):
    context = tls.client_context(target_of(pki, 443), "localhost")
    offered = [cipher["name"] for cipher in context.get_ciphers()]
    assert [name for name in offered if not name.startswith("TLS_")] == list(tls.CIPHERS)
    assert "TLS_AES_128_GCM_SHA256" in offered
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_an_ipv6_address_is_compared_as_a_number(pki):
    certificate = {"subjectAltName": (("DNS", "x"), ("IP Address", "0:0:0:0:0:0:0:1"))}
    assert tls._names_address(certificate, "::1")
    assert not tls._names_address(certificate, "::2")
    assert not tls._names_address({}, "::1")
    assert not tls._names_address({"subject": ((("commonName", "station"),),)}, "::1")


@pytest.mark.parametrize(
    ("fields", "refusal", "reason"),
    [
        ({"roots": ("missing.pem",)}, DialRefusal.UNREACHABLE, "root .*missing.pem: .*No such"),
        ({"roots": ("root.key",)}, DialRefusal.UNREACHABLE, "root .*root.key: "),
        ({}, DialRefusal.CREDENTIALS, "needs a client certificate and its key"),
        (
            {"certificate": "station.pem", "key": "name.key"},
            DialRefusal.CREDENTIALS,
            "certificate .*station.pem with key .*name.key: .*KEY_VALUES_MISMATCH",
        ),
        (
            {"certificate": "station.pem", "key": "locked.key"},
            DialRefusal.CREDENTIALS,
            "certificate .*station.pem with key .*locked.key: ",
        ),
    ],
    ids=["missing root", "root without certificate", "no key", "another key", "locked key"],
)
def test_files_that_cannot_be_used_are_named(pki, fields, refusal, reason):
    paths = {
        name: tuple(pki / file for file in value) if name == "roots" else pki / value
        for name, value in fields.items()
    }
    target = target_of(pki, 443, security_profile=3, **paths)
    with pytest.raises(DialError, match=reason) as caught:
        tls.client_context(target, "localhost")
    assert caught.value.refusal is refusal
