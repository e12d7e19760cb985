"""Real servers on loopback: HTTP(S) that behaves as told, FTP(S), SFTP."""

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import select
import socket
import ssl
import threading
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.firmware.pki import CA, CERT_SIGN, certificate, ec_key, pem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it still rests on asyncore
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
    from pyftpdlib.servers import FTPServer

CONTENT = bytes(range(256)) * 8192  # 2 MiB
USER, PASSWORD = "station", "p@ss/word"
NOW = dt.datetime.now(dt.UTC)  # noqa: TID251  the real clock judges certificates
DAY = dt.timedelta(days=1)


def tls_files(directory, host="localhost"):
    """Write a root, and a server's certificate and key; return their paths."""
    names = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    span = {"begins": NOW - DAY, "ends": NOW + DAY}
    root = certificate(
        "web root", ec_key("web"), "web root", ec_key("web"), CA, CERT_SIGN, **span
    )
    san = (x509.SubjectAlternativeName(names), False)
    server = certificate(host, ec_key("server"), "web root", ec_key("web"), san, **span)
    key = ec_key("server").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "root.pem").write_bytes(pem(root))
    (directory / "server.pem").write_bytes(pem(server) + key)
    return directory / "root.pem", directory / "server.pem"


class Handler(BaseHTTPRequestHandler):
    """Each path misbehaves in its own way."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.seen.append((self.command, self.path, dict(self.headers)))
        getattr(self, f"get_{self.path.split('/')[1]}", self.absent)()

    def absent(self):
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def begin(self, status, length, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def get_good(self):
        at = self.headers.get("Range", "bytes=0-")[6:-1]
        at = int(at) if self.headers.get("If-Range") == '"v1"' else 0
        if at:
            reach = f"bytes {at}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.begin(206, len(CONTENT) - at, ETag='"v1"', Content_Range=reach)
        else:
            self.begin(200, len(CONTENT), ETag='"v1"')
        self.wfile.write(CONTENT[at:])

    def get_breaking(self):
        """Break off in the middle, once."""
        if self.server.broken:
            self.get_good()
            return
        self.server.broken = True
        self.begin(200, len(CONTENT), ETag='"v1"')
        self.wfile.write(CONTENT[:1_000_000])
        self.close_connection = True

    def get_lying(self):
        self.begin(200, len(CONTENT) + 1)
        self.wfile.write(CONTENT)
        self.close_connection = True

    def get_huge(self):
        self.begin(200, 1 << 50)

    def get_endless(self):
        self.begin(200, None, Connection="close")
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(CONTENT)

    def get_bomb(self):
        self.begin(200, 10, Content_Encoding="gzip")
        self.wfile.write(b"0123456789")

    def get_chunked(self, content=CONTENT, end=b"0\r\n\r\n"):
        self.begin(200, None, Transfer_Encoding="chunked")
        for at in range(0, len(content), 300_000):
            piece = content[at : at + 300_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(end)
        self.close_connection = True

    def get_torn(self):
        self.get_chunked(CONTENT[:1_000_000], b"ffff\r\nhalf")

    def get_dripping(self):
        """Send two bytes, each when somebody says so, and then halt."""
        self.begin(200, len(CONTENT))
        for byte in b"ab":
            self.wfile.write(bytes([byte]))
            self.server.dripped.acquire()
        self.server.stopping.wait()
        self.close_connection = True

    def get_redirect(self):
        self.begin(302, 0, Location="/good/image")

    def get_loop(self):
        self.begin(302, 0, Location="/loop")

    def get_elsewhere(self):
        self.begin(307, 0, Location=self.server.elsewhere)

    def get_image(self):
        content = self.server.images[self.path]
        self.begin(200, len(content))
        self.wfile.write(content)

    def get_silent(self):
        self.server.asked.set()
        self.server.stopping.wait()

    def get_halting(self):
        """Send a part and halt, once; then have the rest."""
        if self.server.asked.is_set():
            return self.get_good()
        self.begin(200, len(CONTENT), ETag='"v1"')
        self.wfile.write(CONTENT[:1_500_000])
        self.server.asked.set()
        self.server.stopping.wait()
        self.close_connection = True
        return None

    def get_private(self):
        if "Authorization" not in self.headers:
            return self.begin(401, 0)
        return self.get_good()

    def do_PUT(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if self.path.startswith("/silent"):
            self.get_silent()
        body = self.body()
        if self.path.startswith("/denied"):
            return self.begin(403, 0)
        if self.path.startswith("/busy") and not self.server.broken:
            self.server.broken = True
            return self.begin(503, 0)
        if self.path.startswith("/bad"):
            return self.begin(400, 0)
        if self.path.startswith(("/postonly", "/readonly")):
            return self.begin(405, 0)
        self.server.files[self.path] = body
        return self.begin(201, 0)

    def do_POST(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        body = self.body()
        if self.path.startswith("/readonly"):
            return self.begin(405, 0)
        self.server.files[self.path] = body
        return self.begin(200, 0)

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))


class Proxy(BaseHTTPRequestHandler):
    """Carries requests and tunnels on; knows who may ask, if `server.login` says so."""

    def log_message(self, *_):
        pass

    def is_welcome(self):
        self.server.seen.append((self.command, self.path))
        login = self.headers.get("Proxy-Authorization", "Basic ").removeprefix("Basic ")
        is_known = base64.b64decode(login).decode() == self.server.login
        if not is_known:
            self.send_response(407)
            self.send_header("Content-Length", "0")
            self.end_headers()
        return is_known

    def do_CONNECT(self):
        if not self.is_welcome():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            ends = {far: self.connection, self.connection: far}
            while ready := select.select(list(ends), [], [])[0]:
                for end in ready:
                    data = end.recv(65_536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def do_GET(self):
        if not self.is_welcome():
            return
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with straight.open(self.path) as answer:
            content = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def proxy(login=""):
    """A proxy for HTTP and, by CONNECT, HTTPS. Yields the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    server.seen, server.login = [], login
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def http_server(certificate_file=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.files, server.images, server.broken, server.elsewhere = (
        [],
        {},
        {},
        False,
        "",
    )
    server.stopping, server.asked = threading.Event(), threading.Event()
    server.dripped = threading.Semaphore(0)
    server.handle_error = lambda *_: None
    if certificate_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"{'https' if certificate_file else 'http'}://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.dripped.release(2)
        server.shutdown()
        thread.join()
        server.server_close()


class _ImplicitHandler(TLS_FTPHandler):
    def __init__(self, connection, server, ioloop=None):
        super().__init__(connection, server, ioloop)
        self.secure_connection(self.ssl_context)


@contextlib.contextmanager
def ftp_server(directory, certificate_file=None, *, is_implicit=False):
    """Serve a directory; with a certificate only over TLS. Yields the port.

    Args:
        is_implicit: TLS begins with the connection.
    """
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(directory), perm="elrw")
    base = TLS_FTPHandler if certificate_file else FTPHandler
    base = _ImplicitHandler if is_implicit else base
    kind = type("Handler", (base,), {"authorizer": authorizer, "banner": "test"})
    kind.auth_failed_timeout = 0  # of a guess at a password
    if certificate_file:
        kind.certfile = str(certificate_file)
        kind.tls_control_required = kind.tls_data_required = True
    server = FTPServer(("127.0.0.1", 0), kind)
    stopping = threading.Event()

    def serve():
        while not stopping.is_set():
            server.serve_forever(timeout=0.02, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.address[1]
    finally:
        stopping.set()
        thread.join()
        server.close_all()


class _Ssh(asyncssh.SSHServer):
    def __init__(self, keys):
        self.keys = keys

    def begin_auth(self, username):
        return True

    def public_key_auth_supported(self):
        return bool(self.keys)

    def validate_public_key(self, username, key):
        return username == USER and key in self.keys

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == (USER, PASSWORD)


@contextlib.asynccontextmanager
async def sftp_server(directory, keys=()):
    """Serve a directory as the root of SFTP, also to who has a key. Yields port and host key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        lambda: _Ssh(keys),
        "127.0.0.1",
        0,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(directory)),
    )
    try:
        yield server.sockets[0].getsockname()[1], key
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
