"""The line that a tool talks on, and the map that it talks by, as a command line names them."""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Literal

from hal.board_file import map_directories
from hal.bus.modbus import ModbusPort, SerialPort, TcpPort
from hal.files import FileProblems, Problem
from hal.registers.map import RegisterMap, load_map
from hal.types import Value

MODBUS_PORT = 502
PATIENCE_S = 2.0
"""How long a peer may take to let us know why it does not accept a connection."""


class Line(Value, frozen=True):
    """Where a device is.

    Attributes:
        path: of a serial line; empty for TCP.
        host, port: of a TCP peer; an empty host for a serial line.
        baudrate, parity, stopbits: of the serial line; None as the map has them.
        framing: "tcp" for Modbus TCP; "rtu" and "ascii" are serial frames, over either.
        unit: None as the map has it.
    """

    path: str = ""
    host: str = ""
    port: int = MODBUS_PORT
    baudrate: int | None = None
    parity: Literal["N", "E", "O"] | None = None
    stopbits: Literal[1, 2] | None = None
    framing: Literal["tcp", "rtu", "ascii"] | None = None
    unit: int | None = None

    def opened(self, register_map: RegisterMap) -> ModbusPort:
        """Return a port on this line; the map says what the line does not.

        Raises:
            BoardError: pyserial is not installed.
        """
        if self.host:
            return TcpPort(self.host, self.port, framing=self.framing or "tcp")
        serial = register_map.serial
        return SerialPort(
            self.path,
            baudrate=self.baudrate or serial.baudrate,
            parity=self.parity or serial.parity,
            stopbits=self.stopbits or serial.stopbits,
            framing="ascii" if self.framing == "ascii" else "rtu",
        )

    async def why(self) -> str:
        """Return why the line cannot be opened; empty when it can."""
        if not self.host:
            return _why_not_terminal(self.path)
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except TimeoutError:
            return f"no answer within {PATIENCE_S:g} s"
        except OSError as error:
            return _in_words(error)
        except UnicodeError:
            return "this is no name of a host"
        writer.close()
        return ""

    def unit_of(self, register_map: RegisterMap) -> int:
        """Return the unit id of a device on this line."""
        return self.unit or register_map.serial.unit


def _why_not_terminal(path: str) -> str:
    """Return why a serial line cannot be had by one owner; empty when it can."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except PermissionError:
        return "this user may not open it; is it in the group dialout?"
    except OSError as error:
        return _in_words(error)
    try:
        if not os.isatty(descriptor):
            return "this is no serial line"
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "another process has it; does the agent run?"
    finally:
        os.close(descriptor)
    return ""


def _in_words(error: OSError) -> str:
    """Return the system's words; asyncio puts addresses before them, names have none."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror)


def named_map(name: str) -> RegisterMap:
    """Return the map in a file, or the shipped or installed one of this name.

    Raises:
        FileProblems: there is none, or it has mistakes.
    """
    directories = map_directories(Path("board.toml"))
    paths = [Path(name), *(directory / f"{name}.toml" for directory in directories)]
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        searched = ", ".join(dict.fromkeys(map(str, directories)))
        text = f"there is no such file, and no {name}.toml in {searched}"
        raise FileProblems([Problem(name, 1, text)])
    return load_map(found)


def known_maps() -> dict[str, RegisterMap]:
    """Return every map that can be named, by name; those with mistakes are left out."""
    maps: dict[str, RegisterMap] = {}
    for directory in map_directories(Path("board.toml")):
        for path in sorted(directory.glob("[!_]*.toml")):
            if path.stem not in maps:
                try:
                    maps[path.stem] = load_map(path)
                except FileProblems:
                    continue
    return maps
