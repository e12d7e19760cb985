"""The agent's configuration: `agent.toml` as checked values, or every mistake in it.

`load_config` is for the daemon: it returns a `Config` or refuses with all mistakes.
`check_config` is for `pilotwire check`: it also opens what the file names. The commented
reference of the file is `config/agent.toml`.

The file is typed table by table (`hal.files.TomlFile.part`), so that a wrong key in one
table does not hide a wrong URL in another. Relative paths are relative to the file;
`Config` holds absolute ones only. A password or a private key is a `Secret`: it says where
the secret is, and only `read_secret` fetches it.

What a setting is called and may hold is not known here: the caller brings a function that
judges a name and a value, and another one that reads the board file.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from agent import pem
from agent.config_limits import ExternalLimits
from agent.config_transfer import Transfer, hosts_mistake, placed
from agent.custom_keys import MOST_KEYS, CustomKey, note_key_mistakes
from agent.firmware.task import SWUPDATE_SLOTS
from agent.secret import (
    PLACES,
    PathText,
    Secret,
    SecretError,
    has_one_place,
    read_secret,
)
from hal import schema
from hal.files import FileProblems, Problem, TomlFile, read

_MAX_SOCKET_BYTES = 107
"""Longest path of a Unix socket: `sun_path` of unix(7), less its terminator."""


_ROOTS = ("csms_roots", "manufacturer_roots", "v2g_roots", "mo_roots")
_CLIENT_CERTIFICATE_PROFILE = 3
_SCHEMES = {0: "ws", 1: "ws", 2: "wss", 3: "wss"}

CheckSetting: TypeAlias = Callable[[str, object], str | None]
"""Returns what is wrong with a setting's name or value, None when nothing is."""

CheckBoard: TypeAlias = Callable[[Path], list[Problem]]
"""Returns every mistake in a board file and in what it names."""

Setting: TypeAlias = bool | int | float | str
Protocol: TypeAlias = Literal["ocpp2.0.1", "ocpp1.6"]
Shown: TypeAlias = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\Z")]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all tables; instances never change."""


class Station(Table, frozen=True, kw_only=True):
    """What the station says about itself; lengths are those of the BootNotification.

    Attributes:
        identity: OCPP 2.0.1 identifierString without the colon, which would end the user
            name in HTTP Basic; at most 48 characters (SecurityCtrlr.Identity).
        vendor, model, serial_number, firmware_version: printable; "" is not reported.
        box_serial_number, meter_type, meter_serial_number: only 1.6 reports them.
        iccid, imsi: digits of the SIM card.
    """

    identity: Annotated[str, Meta(max_length=48, pattern=r"^[A-Za-z0-9*=|@.+_-]+\Z")]
    vendor: Annotated[Shown, Meta(min_length=1, max_length=50)]
    model: Annotated[Shown, Meta(min_length=1, max_length=20)]
    serial_number: Annotated[Shown, Meta(max_length=25)] = ""
    firmware_version: Annotated[Shown, Meta(max_length=50)] = ""
    box_serial_number: Annotated[Shown, Meta(max_length=25)] = ""
    iccid: Annotated[str, Meta(pattern=r"^([0-9]{18,20})?\Z")] = ""
    imsi: Annotated[str, Meta(pattern=r"^([0-9]{6,15})?\Z")] = ""
    meter_type: Annotated[Shown, Meta(max_length=25)] = ""
    meter_serial_number: Annotated[Shown, Meta(max_length=25)] = ""


class Csms(Table, frozen=True, kw_only=True):
    """One network connection profile.

    Attributes:
        url: `ws://` with security profile 0 or 1, `wss://` with 2 or 3; at most 512
            characters (OCPP 2.0.1 ocppCsmsUrl). The identity is appended.
        protocols: in order of preference, at least one, each once.
        security_profile: 0 none, 1 password, 2 password over TLS, 3 client certificate.
        password: for HTTP Basic; profiles 1 and 2 need it, the others keep it for the day
            the CSMS changes the profile.
        allow_unauthenticated: accept profile 0 on OCPP 2.0.1, which does not know it.
        append_identity: False: the URL ends with the identity already, or has it elsewhere.
        strict_subprotocol: False puts up with a CSMS that names no subprotocol, or writes it
            in another case.
        basic_auth_encoding: the password itself, or its bytes as hex text.
    """

    url: Annotated[str, Meta(max_length=512, pattern=r"^[!-~]+\Z")]
    security_profile: Annotated[int, Meta(ge=0, le=3)]
    protocols: Annotated[tuple[Protocol, ...], Meta(min_length=1)] = ("ocpp2.0.1", "ocpp1.6")
    password: Secret | None = None
    allow_unauthenticated: bool = False
    append_identity: bool = True
    strict_subprotocol: bool = True
    basic_auth_encoding: Literal["decoded", "hex_text"] = "decoded"


Paths: TypeAlias = Annotated[tuple[PathText, ...], Meta(max_length=32)]


class _SecurityTable(Table, frozen=True, kw_only=True):
    csms_roots: Paths = ()
    manufacturer_roots: Paths = ()
    v2g_roots: Paths = ()
    mo_roots: Paths = ()
    client_certificate: PathText | None = None
    client_key: Secret | None = None


class _HardwareTable(Table, frozen=True, kw_only=True):
    board: PathText


class _StorageTable(Table, frozen=True, kw_only=True):
    directory: PathText = "/var/lib/pilotwire"
    trace_bytes: Annotated[int, Meta(ge=0, le=1 << 30)] = 4_000_000
    log_files: Annotated[tuple[PathText, ...], Meta(max_length=8)] = ()


class _ControlTable(Table, frozen=True, kw_only=True):
    socket: PathText = "/run/pilotwire/control.sock"


class Swupdate(Table, frozen=True, kw_only=True):
    """How SWUpdate and the boot loader name the two slots.

    Attributes:
        sockets: directory of SWUpdate's sockets.
        variable: of U-Boot's environment; names the slot that starts next.
        slots: its two values, and the "software,mode" that SWUpdate selects for each.
    """

    sockets: PathText = "/run/swupdate"
    variable: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,64}$")] = "bootslot"
    slots: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")],
            Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64},[A-Za-z0-9_.-]{1,64}$")],
        ],
        Meta(min_length=2, max_length=2),
    ] = msgspec.field(default_factory=lambda: dict(SWUPDATE_SLOTS))


class Firmware(Table, frozen=True, kw_only=True):
    """How a new firmware image gets onto the machine.

    Attributes:
        command: program (an absolute path) and arguments; only with the "command" installer.
        slots: directory of the two slots; only used by the "slots" installer.
        swupdate: only used by the "swupdate" installer.
        hardware: revision of the hardware that an image has to name; empty: any is refused
            that does not name all.
        allow_downgrade: an older version may be installed.
        max_bytes: of an image.
        revocation_lists: PEM files of the manufacturer's revocation lists.
    """

    installer: Literal["rauc", "swupdate", "slots", "command", "none"] = "none"
    command: Annotated[tuple[PathText, ...], Meta(max_length=32)] = ()
    slots: PathText = "/opt/pilotwire"
    swupdate: Swupdate = Swupdate()
    hardware: Annotated[str, Meta(max_length=64)] = ""
    allow_downgrade: bool = False
    max_bytes: Annotated[int, Meta(ge=1, le=1 << 40)] = 1 << 30
    revocation_lists: Annotated[tuple[PathText, ...], Meta(max_length=32)] = ()


class _AgentFile(Table, frozen=True, kw_only=True):
    station: Station
    csms: Annotated[tuple[Csms, ...], Meta(min_length=1, max_length=8)]
    hardware: _HardwareTable
    security: _SecurityTable = _SecurityTable()
    settings: Annotated[dict[str, Setting], Meta(max_length=512)] = {}
    firmware: Firmware = Firmware()
    storage: _StorageTable = _StorageTable()
    control: _ControlTable = _ControlTable()
    external_limits: ExternalLimits = ExternalLimits()
    transfer: Transfer = Transfer()
    custom_keys: Annotated[dict[str, CustomKey], Meta(max_length=MOST_KEYS)] = {}


class Security(Table, frozen=True, kw_only=True):
    """What is provisioned at the first start; all paths are absolute.

    Attributes:
        csms_roots, manufacturer_roots, v2g_roots, mo_roots: PEM files of certificates.
        client_certificate, client_key: both or none; security profile 3 needs them.
    """

    csms_roots: tuple[Path, ...] = ()
    manufacturer_roots: tuple[Path, ...] = ()
    v2g_roots: tuple[Path, ...] = ()
    mo_roots: tuple[Path, ...] = ()
    client_certificate: Path | None = None
    client_key: Secret | None = None


class Config(Table, frozen=True, kw_only=True):
    """The whole of `agent.toml`; every path in it is absolute.

    Attributes:
        path: the file it comes from.
        csms: 1 to 8 connection profiles, first = highest priority.
        settings: factory values as written, by name; accepted by the caller's check.
        storage_directory: where everything lives that must survive a power cut.
        trace_bytes: how much the flight recorder keeps there; 0: it records nothing.
        log_files: where the agent's log is kept, on a machine without a journal.
        control_socket: at most 107 bytes.
        custom_keys: the operator's own settings, by name.
    """

    path: Path
    station: Station
    csms: tuple[Csms, ...]
    security: Security
    board: Path
    settings: dict[str, Setting]
    firmware: Firmware
    storage_directory: Path
    trace_bytes: int
    log_files: tuple[Path, ...] = ()
    control_socket: Path
    external_limits: ExternalLimits = ExternalLimits()
    transfer: Transfer = Transfer()
    custom_keys: dict[str, CustomKey] = {}


def load_config(path: Path, check_setting: CheckSetting) -> Config:
    """Return the configuration in a file.

    What the file names (board, certificates, secrets) is not opened.

    Raises:
        FileProblems: every mistake, each with its line and what is allowed.
    """
    tables = _Tables(read(path), check_setting)
    if tables.whole is None or tables.file.problems:
        raise FileProblems(tables.file.problems)
    return _config(tables.whole, path.absolute())


def check_config(
    path: Path, check_setting: CheckSetting, check_board: CheckBoard, at_s: float | None = None
) -> list[Problem]:
    """Return every mistake in a configuration and in all that it names, or [].

    With `at_s`, UTC seconds, credentials must be good then; else only look like what they are.
    """
    try:
        tables = _Tables(read(path), check_setting)
    except FileProblems as unusable:
        return list(unusable.problems)
    _check_named(tables, at_s)
    found = sorted(tables.file.problems, key=lambda problem: problem.line)
    if tables.hardware is not None:
        found += check_board(tables.base / tables.hardware.board)
    return found


class _Tables:
    """What the types make of one file; None for what has mistakes, noted in `file`.

    Attributes:
        whole: the file; the tables beside it can be right when it is not.
        csms: as in the file, without a gap.
    """

    def __init__(self, file: TomlFile, check_setting: CheckSetting) -> None:
        self.file = file
        self.base = file.path.absolute().parent
        self.whole = file.part((), _AgentFile)
        entries = file.document.get("csms")
        count = len(entries) if isinstance(entries, list) else 0
        self.csms = [file.part(("csms", index), Csms) for index in range(count)]
        self.security = file.part(("security",), _SecurityTable)
        self.hardware = file.part(("hardware",), _HardwareTable)
        self.firmware = file.part(("firmware",), Firmware)
        self.control = file.part(("control",), _ControlTable)
        self.transfer = file.part(("transfer",), Transfer)
        for path, message in _mistakes(self):
            file.problem(path, f"{schema.path_text(path).removeprefix('$.')} {message}")
        note_key_mistakes(file)
        settings = file.document.get("settings")
        for name, value in settings.items() if isinstance(settings, dict) else ():
            for message in _in_setting(name, value, check_setting):
                file.problem(("settings", name), message)

    def secrets(self) -> Iterator[tuple[schema.Path, Secret]]:
        for index, csms in enumerate(self.csms):
            if csms is not None and csms.password is not None:
                yield ("csms", index, "password"), csms.password
        if self.security is not None and self.security.client_key is not None:
            yield ("security", "client_key"), self.security.client_key
        if self.transfer is not None and self.transfer.ssh_key is not None:
            yield ("transfer", "ssh_key"), self.transfer.ssh_key

    def certificates(self) -> Iterator[tuple[schema.Path, Path]]:
        if (table := self.security) is None:
            return
        for name in _ROOTS:
            for index, path in enumerate(getattr(table, name)):
                yield ("security", name, index), self.base / path
        if table.client_certificate is not None:
            yield ("security", "client_certificate"), self.base / table.client_certificate


def _config(file: _AgentFile, path: Path) -> Config:
    base = path.parent
    return Config(
        path=path,
        station=file.station,
        csms=tuple(replace(one, password=_placed(one.password, base)) for one in file.csms),
        security=_provisioned(file.security, base),
        board=base / file.hardware.board,
        settings=file.settings,
        firmware=file.firmware,
        storage_directory=base / file.storage.directory,
        trace_bytes=file.storage.trace_bytes,
        log_files=tuple(base / path for path in file.storage.log_files),
        control_socket=base / file.control.socket,
        external_limits=file.external_limits,
        transfer=placed(file.transfer, base),
        custom_keys=file.custom_keys,
    )


def _placed(secret: Secret | None, base: Path) -> Secret | None:
    if secret is None or secret.file is None:
        return secret
    return replace(secret, file=str(base / secret.file))


def _provisioned(table: _SecurityTable, base: Path) -> Security:
    roots = {name: tuple(base / path for path in getattr(table, name)) for name in _ROOTS}
    certificate = table.client_certificate
    return Security(
        **roots,
        client_certificate=None if certificate is None else base / certificate,
        client_key=_placed(table.client_key, base),
    )


_Mistake: TypeAlias = tuple[schema.Path, str]
"""Where, and what is allowed there, as the rest of a sentence that names the place."""


def _mistakes(tables: _Tables) -> Iterator[_Mistake]:
    """Yield what the types alone cannot refuse."""
    security = tables.security
    has_certificate = security is None or security.client_certificate is not None
    urls: dict[str, int] = {}
    for index, csms in enumerate(tables.csms):
        if csms is None:
            continue
        for key, message in _in_csms(csms, has_certificate=has_certificate):
            yield ("csms", index, key), message
        first = urls.setdefault(csms.url, index)
        if first != index:
            yield ("csms", index, "url"), f"is already the url of csms[{first}]"
    for path, secret in tables.secrets():
        if not has_one_place(secret):
            yield path, PLACES
    pair = ("client_certificate", "client_key")
    missing = [key for key in pair if security is not None and getattr(security, key) is None]
    if len(missing) == 1:
        yield ("security", missing[0]), "is missing; a certificate and its key go together"
    if tables.firmware is not None:
        yield from _in_firmware(tables.firmware)
    if tables.control is not None:
        socket = tables.base / tables.control.socket
        if len(os.fsencode(socket)) > _MAX_SOCKET_BYTES:
            yield ("control", "socket"), f"must have at most {_MAX_SOCKET_BYTES} bytes"


def _in_setting(name: str, value: object, check: CheckSetting) -> Iterator[str]:
    if isinstance(value, dict):
        yield f'{name} is a table; a setting with a dot in its name is quoted: "{name}.…"'
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{name} must be a finite number"
    elif isinstance(value, Setting) and (message := check(name, value)) is not None:
        yield message


def _in_csms(csms: Csms, *, has_certificate: bool) -> Iterator[tuple[str, str]]:
    profile = csms.security_profile
    if (message := _url_mistake(csms.url)) is not None:
        yield "url", message
    elif not csms.url.startswith(f"{_SCHEMES[profile]}://"):
        allowed = f"must start with {_SCHEMES[profile]}:// for security_profile {profile}"
        yield "url", f"{allowed} (0 and 1: ws://, 2 and 3: wss://)"
    if len(set(csms.protocols)) != len(csms.protocols):
        yield "protocols", "must name each protocol once"
    if profile == 0 and "ocpp2.0.1" in csms.protocols and not csms.allow_unauthenticated:
        allowed = "must be 1, 2 or 3 with ocpp2.0.1; 0 needs allow_unauthenticated = true"
        yield "security_profile", allowed
    if profile in {1, 2} and csms.password is None:
        yield "password", f"is missing; security_profile {profile} needs it"
    if profile == _CLIENT_CERTIFICATE_PROFILE and not has_certificate:
        yield "security_profile", "is 3, which needs client_certificate in [security]"


def _url_mistake(url: str) -> str | None:
    form = "must be ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH"
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.scheme not in _SCHEMES.values():
            return form
    except ValueError:  # a port that is no number, or half an IPv6 address
        return form
    if "@" in parts.netloc:
        return "must not hold a user name; the identity and password are used"
    if "#" in url:
        return "must not have a fragment (#)"
    return None


def _in_firmware(firmware: Firmware) -> Iterator[_Mistake]:
    if firmware.installer != "command":
        if firmware.command:
            yield ("firmware", "command"), 'is only for installer = "command"'
    elif not firmware.command:
        yield ("firmware", "command"), 'is missing; installer = "command" needs it'
    elif not Path(firmware.command[0]).is_absolute():
        yield ("firmware", "command", 0), "must be an absolute path"


def _check_named(tables: _Tables, at_s: float | None) -> None:
    """Note what is wrong with the secrets and certificates that the file names."""
    found = [(path, _secret_mistake(path, secret, tables)) for path, secret in tables.secrets()]
    found += [(path, pem.certificates_mistake(file)) for path, file in tables.certificates()]
    if tables.transfer is not None and tables.transfer.known_hosts is not None:
        hosts = tables.base / tables.transfer.known_hosts
        found.append((("transfer", "known_hosts"), hosts_mistake(hosts)))
    if at_s is not None:
        wrong = {path for path, message in found if message is not None}
        found += [item for item in _inspected(tables, at_s) if item[0] not in wrong]
    for path, message in found:
        if message is not None:
            place = schema.path_text(path).removeprefix("$.")
            tables.file.problem(path, f"{place}: {message}")


def _inspected(tables: _Tables, at_s: float) -> Iterator[tuple[schema.Path, str | None]]:
    """Yield what is wrong with certificates beyond their form."""
    from agent.security import inspection  # noqa: PLC0415  # loads cryptography

    station, key = "", b""
    if tables.whole is not None and tables.whole.security.client_key is not None:
        station = tables.whole.station.serial_number
        with suppress(SecretError):  # noted already
            key = read_secret(tables.whole.security.client_key, tables.base)
    yield from inspection.inspected(tables.certificates(), station, key, at_s)


def _secret_mistake(path: schema.Path, secret: Secret, tables: _Tables) -> str | None:
    if not has_one_place(secret):
        return None
    if secret.credential is not None and not os.environ.get("CREDENTIALS_DIRECTORY"):
        return None
    try:
        content = read_secret(secret, tables.base)
    except SecretError as error:
        return str(error)
    if path[-1] == "client_key" and not pem.is_private_key(content):
        return f"{secret.place} must be a private key in PEM that is not encrypted"
    if path[-1] == "ssh_key" and not pem.is_private_key(content, is_ssh=True):
        return f"{secret.place} must be a private key, as ssh-keygen writes it"
    return None
