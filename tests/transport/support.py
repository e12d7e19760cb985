"""Peers for the real link: one that answers byte by byte as told, and the library's own."""

import asyncio
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve
from websockets.utils import accept_key

from agent.transport.link import DialTarget
from agent.transport.websocket import WebSocketDialer

SWITCH = "HTTP/1.1 101 Switching Protocols"


def answer(status=SWITCH, *headers):
    """Return an HTTP response without a body."""
    return "\r\n".join([status, *headers, "Content-Length: 0", "", ""])


def upgraded(*headers):
    """Return a function that accepts the WebSocket of a request, with further headers."""

    def respond(request):
        return answer(
            SWITCH,
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key(request.headers['sec-websocket-key'])}",
            *headers,
        )

    return respond


class Request:
    """What the client sent."""

    def __init__(self, text):
        first, *lines = text.split("\r\n")
        self.path = first.split(" ")[1]
        self.lines = [tuple(line.split(": ", 1)) for line in lines if line]
        self.headers = {name.lower(): value for name, value in self.lines}


class RawServer:
    """Answers each request with the next response; the last one is used again.

    Attributes:
        received: everything that came after the upgrades.
        open_now, most_open: connections.
    """

    def __init__(self, *responses):
        self.responses = list(responses)
        self.requests = []
        self.received = bytearray()
        self.open_now = self.most_open = 0
        self.writers = []
        self.port = 0
        self._changed = asyncio.Event()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    async def until(self, holds):
        """Wait until the server's own account satisfies a condition."""
        while not holds(self):
            self._changed.clear()
            await self._changed.wait()

    async def serve(self, reader, writer):
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        self.writers.append(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = Request(head.decode())
            self.requests.append(request)
            self._changed.set()
            response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
            writer.write((response(request) if callable(response) else response).encode())
            while data := await reader.read(65_536):
                self.received += data
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            self._changed.set()
            writer.close()


@asynccontextmanager
async def raw_server(*responses):
    served = RawServer(*responses)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for writer in served.writers:
            writer.transport.abort()
        await server.wait_closed()
        await served.until(lambda server: not server.open_now)


ACCEPT_16 = upgraded("Sec-WebSocket-Protocol: ocpp1.6")


def target_of(url, **fields):
    fields = {"identity": "CP001", "protocols": ("ocpp2.0.1", "ocpp1.6"), **fields}
    return DialTarget(url, **fields)


async def dialed(target, *, ping_interval_s=0.0, ping_timeout_s=15.0, dialer=None):
    return await (dialer or WebSocketDialer()).dial(
        target, ping_interval_s=ping_interval_s, ping_timeout_s=ping_timeout_s
    )


@asynccontextmanager
async def csms(handler, **options):
    """Serve a real peer on loopback; yields its URL."""
    options = {"subprotocols": ["ocpp1.6", "ocpp2.0.1"], "compression": None, **options}
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"


async def echo(connection):
    async for message in connection:
        await connection.send(message)
