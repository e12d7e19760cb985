"""`pilotwire csms`: the bench CSMS by itself, for any charge point.

It shows what happens, one line each, and takes commands from stdin when that is a terminal
or a pipe. With `ledger_file` it goes on with the ledger of an earlier run, and keeps it on
disk from then on.
"""

import asyncio
import os
import shlex
import signal
import ssl
import stat
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.bench import show
from agent.bench.csms import CLERKS, Csms
from agent.bench.desk import SettingError
from agent.bench.keeper import LedgerError, LedgerFile, wall_s
from agent.bench.ledger import Ledger
from agent.bench.listener import listen, server_tls
from agent.bench.script import Refusal, Verdict
from agent.bench.session import CsmsError

PORT: Final = 9000
PROTOCOLS: Final = tuple(CLERKS)
LONGEST_COMMAND: Final = 65_536
MOST_COMMANDS: Final = 1_000
"""Commands that may wait; a pipe may bring them faster than stations answer."""

_NUMBERS: Final = 1_000_000_000
_RESETS: Final = ("soft", "hard")

HELP: Final = """\
remote-start [IDENTITY] TOKEN    ask the station for a transaction
remote-stop [IDENTITY]           ask it to stop the latest open one
reset [IDENTITY] soft|hard       restart it, after its transactions or at once
list [IDENTITY] VERSION TOKENS   change the local list; -TOKEN removes, commas between
list-version [IDENTITY]          ask for its version
reserve [IDENTITY] EVSE TOKEN    keep an EVSE free for an hour, 0: any
unreserve [IDENTITY] NUMBER      end a reservation
unlock [IDENTITY] EVSE           release the plug
trigger [IDENTITY] MESSAGE       ask to be told a message now
limit [IDENTITY] AMPERES         limit all charging by a default profile
get [IDENTITY] NAME              read a setting: a 1.6 key, or Component.Variable
set [IDENTITY] NAME VALUE        write one
call [IDENTITY] ACTION JSON      send any request
drop [IDENTITY]                  close its link
ledger                           show stations and bills
help                             show this
IDENTITY may be left out while one station is connected."""


class CommandError(Exception):
    """A command cannot be meant like this; the text says what is allowed."""


def main(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    protocols: Sequence[str] = PROTOCOLS,
    password: str | None = None,
    as_json: bool = False,
    ledger_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    client_roots: Path | None = None,
) -> int:
    """Serve until interrupted; return the exit code.

    Args:
        port: 0 takes any free one.
        protocols: subprotocols that are spoken, the preferred one first.
        password: asked of every station; None: none is.
        as_json: print events as JSON lines instead of sentences.
        ledger_file: read at the start if it exists, written on every change.
        certificate, key, client_roots: see `agent.bench.listener.server_tls`; without the
            first it listens for ws.
    """
    unknown = [name for name in protocols if name not in CLERKS]
    if unknown or not protocols:
        return _failed(f"protocols {unknown}: allowed are {', '.join(CLERKS)}")
    try:
        file = LedgerFile(ledger_file) if ledger_file else None
        ledger = file.load() if file else Ledger()
    except LedgerError as error:
        return _failed(str(error))
    if file is None:
        # Stations may still hold numbers that an earlier run gave out: do not use them again.
        ledger.next_number = int(wall_s()) % _NUMBERS
    try:
        tls = server_tls(certificate, key, client_roots) if certificate else None
    except OSError as error:
        return _failed(f"cannot use {certificate}, its key or the client roots: {error}")
    csms = Csms(now=wall_s, ledger=ledger)
    csms.behaviour.subprotocols = tuple(protocols)
    csms.behaviour.password = password
    csms.watch(lambda event: _print(show.json_line(event) if as_json else show.line(event)))
    try:
        return asyncio.run(_served(csms, file, host, port, tls, quiet=as_json))
    except OSError as error:
        return _failed(f"cannot listen on {host}:{port}: {error.strerror or error}")


async def _served(
    csms: Csms,
    file: LedgerFile | None,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    *,
    quiet: bool,
) -> int:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    listener = await listen(csms, host, port, tls=tls)
    if not quiet:
        scheme = "wss" if tls else "ws"
        _print(
            f"listening on {scheme}://{host}:{listener.port}/IDENTITY; Ctrl-C ends, help helps"
        )
    console = Console(csms, _print)
    async with asyncio.TaskGroup() as tasks:
        helpers = [tasks.create_task(console.run())]
        if file:
            helpers.append(tasks.create_task(file.keep(csms)))
        await end.wait()
        await listener.close()
        for helper in helpers:
            helper.cancel()
    return 0


class Console:
    """Commands to a CSMS, from stdin or from anywhere.

    Args:
        print_line: takes each line of output.
    """

    def __init__(self, csms: Csms, print_line: Callable[[str], None]) -> None:
        self._csms, self._print = csms, print_line
        self._lines: deque[str] = deque(maxlen=MOST_COMMANDS)
        self._arrived = asyncio.Event()
        self._unread = b""
        self._reservations = 0
        self._commands: Mapping[str, Callable[[list[str]], Awaitable[str]]] = {
            "remote-start": self._remote_start,
            "remote-stop": self._remote_stop,
            "reset": self._reset,
            "list": self._list,
            "list-version": self._list_version,
            "reserve": self._reserve,
            "unreserve": self._unreserve,
            "unlock": self._unlock,
            "trigger": self._trigger,
            "limit": self._limit,
            "get": self._get,
            "set": self._set,
            "call": self._call,
            "drop": self._drop,
        }

    async def run(self, fd: int = 0) -> None:
        """Execute commands that arrive at a file descriptor, until cancelled.

        A file or /dev/null brings none.
        """
        loop = asyncio.get_running_loop()
        if not _is_interactive(fd):
            return
        loop.add_reader(fd, self._readable, fd)
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._lines:
                    self._print(await self.execute(self._lines.popleft()))
        finally:
            loop.remove_reader(fd)

    async def execute(self, line: str) -> str:
        """Execute one command; return what to print. Never raises for a wrong command."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            return f"{line}: {error}"
        if not words:
            return ""
        name, *arguments = words
        if name == "help":
            return HELP
        if name == "ledger":
            return "\n".join(show.ledger_lines(self._csms.ledger))
        command = self._commands.get(name)
        if command is None:
            return f"{name!r} is no command; help shows them all"
        try:
            return await command(arguments)
        except (CsmsError, CommandError, SettingError) as error:
            return f"{name}: {error}"

    def _readable(self, fd: int) -> None:
        chunk = os.read(fd, 4096)
        if not chunk:
            asyncio.get_running_loop().remove_reader(fd)
        *lines, rest = (self._unread + chunk).split(b"\n")
        self._unread = rest[-LONGEST_COMMAND:]
        self._lines.extend(line.decode(errors="replace") for line in lines)
        self._arrived.set()

    def _split(self, words: list[str], count: int) -> tuple[str, list[str]]:
        """Return the identity, which may be left out, and the other words.

        Args:
            count: how many other words there must be.

        Raises:
            CommandError: there are not, or the station has to be named.
        """
        connected = self._csms.connected
        if words and words[0] in connected:
            identity, *words = words
        elif len(words) > count:
            raise CommandError(f"{words[0]} is not connected: {self._listed()}")
        elif len(connected) == 1:
            identity = connected[0]
        else:
            raise CommandError(f"name a station: {self._listed()}")
        if len(words) != count:
            raise CommandError(f"{count} words are expected after the station; see help")
        return identity, words

    def _listed(self) -> str:
        return ", ".join(self._csms.connected) or "none is connected"

    async def _remote_start(self, words: list[str]) -> str:
        identity, (token,) = self._split(words, 1)
        return await self._csms.remote_start(identity, token)

    async def _remote_stop(self, words: list[str]) -> str:
        identity, _ = self._split(words, 0)
        return await self._csms.remote_stop(identity)

    async def _reset(self, words: list[str]) -> str:
        identity, (kind,) = self._split(words, 1)
        if kind not in _RESETS:
            raise CommandError(f"{kind!r}: soft and hard are allowed")
        return await self._csms.reset(identity, hard=kind == "hard")

    async def _list(self, words: list[str]) -> str:
        identity, (version, tokens) = self._split(words, 2)
        entries = {
            token.removeprefix("-"): None if token.startswith("-") else Verdict()
            for token in tokens.split(",")
        }
        return await self._csms.send_list(identity, _whole(version, "version"), entries)

    async def _list_version(self, words: list[str]) -> str:
        identity, _ = self._split(words, 0)
        return str(await self._csms.list_version(identity))

    async def _reserve(self, words: list[str]) -> str:
        identity, (place, token) = self._split(words, 2)
        evse_id = _whole(place, "EVSE")
        self._reservations += 1
        number = self._reservations
        answer = await self._csms.reserve(identity, number, token, evse_id=evse_id or None)
        return f"{answer}, number {number}"

    async def _unreserve(self, words: list[str]) -> str:
        identity, (number,) = self._split(words, 1)
        return await self._csms.cancel_reservation(identity, _whole(number, "number"))

    async def _unlock(self, words: list[str]) -> str:
        identity, (place,) = self._split(words, 1)
        return await self._csms.unlock(identity, _whole(place, "EVSE"))

    async def _trigger(self, words: list[str]) -> str:
        identity, (message,) = self._split(words, 1)
        return await self._csms.trigger(identity, message)

    async def _limit(self, words: list[str]) -> str:
        identity, (text,) = self._split(words, 1)
        try:
            limit_a = float(text)
        except ValueError:
            raise CommandError(f"{text!r} is no number of amperes") from None
        return await self._csms.set_limit(identity, limit_a)

    async def _get(self, words: list[str]) -> str:
        identity, (name,) = self._split(words, 1)
        return f"{name} = {await self._csms.get_setting(identity, name)}"

    async def _set(self, words: list[str]) -> str:
        identity, (name, value) = self._split(words, 2)
        return await self._csms.set_setting(identity, name, value)

    async def _call(self, words: list[str]) -> str:
        identity, (action, text) = self._split(words, 2)
        try:
            payload = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise CommandError(f"the payload must be a JSON object: {error}") from None
        answer = await self._csms.request(identity, action, payload)
        if isinstance(answer, Refusal):
            return f"{answer.code} {answer.description}".rstrip()
        return msgspec.json.encode(answer).decode()

    async def _drop(self, words: list[str]) -> str:
        identity, _ = self._split(words, 0)
        await self._csms.drop(identity)
        return "dropped"


def _whole(text: str, what: str) -> int:
    """Return a whole number.

    Raises:
        CommandError: it is none.
    """
    if not text.isdecimal():
        raise CommandError(f"{text!r} is no {what}")
    return int(text)


def _is_interactive(fd: int) -> bool:
    try:
        return os.isatty(fd) or stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def _print(line: str) -> None:
    if line:
        print(line, flush=True)


def _failed(reason: str) -> int:
    print(f"pilotwire csms: {reason}", file=sys.stderr)
    return 1
