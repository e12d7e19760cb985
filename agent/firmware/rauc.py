"""RAUC over D-Bus: `de.pengutronix.rauc.Installer`, as of RAUC 1.8 and later.

A slot is named as RAUC names it (`rootfs.1`). `install` never makes the new slot the one that
starts next: that is `activate`, after the core has it on disk. Where RAUC's system.conf does
not say `activate-installed=false`, the slot that runs is made the next one again at once.

RAUC opens the image as `/proc/PID/fd/N`: the very file that was verified, whatever its name
leads to by then (docs/adr/0053-images-for-rauc.md).
"""

import logging
import os
import re
import time
from collections import deque
from types import TracebackType
from typing import Any, Final, Self

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    HeaderFields,
    MatchRule,
    Message,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from agent.firmware.errors import UnreadableImageError, UpdaterRefusedError
from agent.firmware.image import Payload
from agent.firmware.installer import COMMAND_S, Installer, InstallerError, Status
from agent.firmware.manifest import Header

logger = logging.getLogger(__name__)

NAME: Final = "de.pengutronix.rauc"
INTERFACE: Final = f"{NAME}.Installer"
ADDRESS: Final = DBusAddress("/", bus_name=NAME, interface=INTERFACE)

_REFUSAL: Final = re.compile(
    r"signature|verification|verify|compatible mismatch|bundle format|invalid bundle",
    re.IGNORECASE,
)
"""What RAUC says of an image that it does not want, as of 1.8."""

CALL_S: Final = 60.0
"""A boot loader's environment on slow flash is written within it."""


class Rauc(Installer):
    """RAUC's service on the system bus."""

    needs_bundle = False

    def status(self) -> Status:
        with Bus() as bus:
            booted, other = _pair(bus)
        version = booted.get("bundle.version")
        has_failed = other is not None and other.get("boot-status") == "bad"
        return Status(booted["name"], has_failed, version)

    def install(self, payload: Payload, header: Header | None) -> str | None:
        if header is not None:
            raise UnreadableImageError("RAUC takes its own bundles, signed by the request")
        payload.check()
        with Bus() as bus:
            booted, other = _pair(bus)
            if other is None:
                raise InstallerError("RAUC has no other slot to install into")
            with bus.listening() as news:
                while bus.property("Operation") != "idle":  # of before a power cut of ours
                    news.ended()
                path = f"/proc/{os.getpid()}/fd/{payload.image.handle}"
                bus.call("InstallBundle", "sa{sv}", path, {})
                if news.ended():
                    raise failure(str(bus.property("LastError")))
            if bus.call("GetPrimary")[0] != booted["name"]:
                bus.call("Mark", "ss", "active", "booted")
            return other["name"]

    def activate(self) -> None:
        with Bus() as bus:
            bus.call("Mark", "ss", "active", "other")

    def confirm(self) -> None:
        with Bus() as bus:
            bus.call("Mark", "ss", "good", "booted")

    def roll_back(self) -> None:
        with Bus() as bus:  # first the way back, then the verdict: a power cut may come between
            bus.call("Mark", "ss", "active", "other")
            bus.call("Mark", "ss", "bad", "booted")


def failure(error: str) -> Exception:
    """Return what has ended an installation: RAUC did not want the image, or it could not."""
    kind = UpdaterRefusedError if _REFUSAL.search(error) else InstallerError
    return kind(f"RAUC: {error}")


class Bus:
    """A connection to RAUC on the system bus; what goes wrong on it is an InstallerError."""

    def __enter__(self) -> Self:
        try:
            self._connection: DBusConnection = open_dbus_connection(bus="SYSTEM")
        except (OSError, RuntimeError, ValueError, DBusErrorResponse) as error:
            raise InstallerError(f"no system bus: {error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def call(self, method: str, signature: str | None = None, *arguments: object) -> Any:
        """Call a method of RAUC's; return what it answers."""
        return self.sent(new_method_call(ADDRESS, method, signature, arguments))

    def property(self, name: str) -> Any:
        """Return a property of RAUC's."""
        return self.sent(Properties(ADDRESS).get(name))[0][1]

    def sent(self, message: Message) -> Any:
        """Send a call; return the body of its reply."""
        try:
            return unwrap_msg(self._connection.send_and_get_reply(message, timeout=CALL_S))
        except DBusErrorResponse as error:
            text = error.data[0] if error.data else error.name
            raise InstallerError(f"RAUC: {text}") from None
        except TimeoutError:
            raise InstallerError(f"RAUC does not answer within {CALL_S:.0f} s") from None
        except OSError as error:
            raise InstallerError(f"the system bus: {error}") from None

    def listening(self) -> "News":
        """Listen to what RAUC tells, from now on."""
        owner = self.sent(message_bus.GetNameOwner(NAME))[0]
        return News(self, self._connection, owner)


class News:
    """RAUC's signals: progress, and the end of an installation.

    Only those of the process that owns RAUC's name count: anybody on the bus may send signals.
    """

    def __init__(self, bus: Bus, connection: DBusConnection, owner: str) -> None:
        self._connection, self._owner = connection, owner
        self._rules = (
            MatchRule(type="signal", sender=owner, path="/"),
            MatchRule(type="signal", sender="org.freedesktop.DBus", member="NameOwnerChanged"),
        )
        self._rules[1].add_arg_condition(0, NAME)
        for rule in self._rules:
            bus.sent(message_bus.AddMatch(rule))
        self._queue: deque[Message] = deque()
        self._filters = [connection.filter(rule, queue=self._queue) for rule in self._rules]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._filters:
            each.close()

    def ended(self) -> int:
        """Wait for the end of an installation; return its result, 0 when it is well."""
        until_s = time.monotonic() + COMMAND_S  # noqa: TID251  a process of its own
        while True:
            message = self._next(until_s - time.monotonic())  # noqa: TID251
            match message.header.fields[HeaderFields.member]:
                case "Completed":
                    return int(message.body[0])
                case "NameOwnerChanged":
                    raise InstallerError("RAUC ended before the installation did")
                case "PropertiesChanged" if "Progress" in message.body[1]:
                    percent, text, _depth = message.body[1]["Progress"][1]
                    logger.info("RAUC: %d %%: %s", percent, text)

    def _next(self, left_s: float) -> Message:
        try:
            return self._connection.recv_until_filtered(self._queue, timeout=max(left_s, 0.0))
        except TimeoutError:
            raise InstallerError(f"RAUC was not done within {COMMAND_S:.0f} s") from None
        except OSError as error:
            raise InstallerError(f"the system bus: {error}") from None


def _pair(bus: Bus) -> tuple[dict[str, str], dict[str, str] | None]:
    """Return the slot that runs, and the other one that can be started."""
    (slots,) = bus.call("GetSlotStatus")
    found: list[dict[str, str]] = [
        {"name": name, **{key: str(value) for key, (_, value) in facts.items()}}
        for name, facts in slots
    ]
    booted = next((slot for slot in found if slot.get("state") == "booted"), None)
    if booted is None:
        raise InstallerError("RAUC does not know which slot runs")
    others = (
        slot
        for slot in found
        if slot is not booted and "bootname" in slot and slot["class"] == booted["class"]
    )
    return booted, next(others, None)
