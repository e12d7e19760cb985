"""The composition root: from a configuration to a running agent.

The only module that names concrete classes. It reads the configuration, opens the store,
restores the station, wires the services and runs them in one task group. What ends the
group ends the process; on the way out every output is made safe and the store is flushed.
"""

import asyncio
import enum
import gc
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from agent import upkeep
from agent.config import (
    Config,
    Csms,
    check_config,
    load_config,
)
from agent.core import durable, security
from agent.core.bounds import Site
from agent.core.credentials import Network
from agent.core.events import (
    CertificatesLost,
    Event,
    GridInputChanged,
    PowerUp,
    SecurityEventRaised,
    StorageFailed,
)
from agent.core.installed import Certificates
from agent.core.plugs import connector_types
from agent.core.station import Station
from agent.core.trust import CertificateKind
from agent.core.values import BootReason, EvseSpec, Sharing, StationInfo, Terms
from agent.custom_keys import custom_variables
from agent.factory import check_setting, factory_settings
from agent.ocpp.negotiation import adapter_for
from agent.ocpp.v16.statuses import project
from agent.runtime import logs
from agent.runtime.clock import SystemWorld
from agent.runtime.kernel import Kernel
from agent.runtime.logbook import Logbook
from agent.runtime.recorder import Recorder
from agent.runtime.shell import Shell
from agent.runtime.systemd import Notifier, watchdog_interval_s
from agent.secret import SecretError, read_secret
from agent.security.keystore import Keystore
from agent.security.log import SecurityLog
from agent.security.provisioning import ProvisioningError, Source, provisioned, recovered
from agent.store.database import Loaded, Store, StoreError
from agent.transport.link import DialTarget
from agent.transport.websocket import WebSocketDialer
from hal.board import Board, EvseSettings, Hardware, build, check_board, load_board
from hal.errors import BoardError, HalError
from hal.files import FileProblems

logger = logging.getLogger(__name__)

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
"""sysexits EX_CONFIG; systemd does not restart on it (RestartPreventExitStatus)."""

EXIT_MACHINE: Final = 85
"""The machine has to restart, into firmware that is a whole system; the unit sees to it."""

MACHINE_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
MACHINE_BOOT_VARIABLE: Final = "PILOTWIRE_BOOT_ID"
"""Where the unit says it: in its sandbox the kernel does not."""


class Ending(enum.Enum):
    """What has to follow when the agent has ended."""

    NOTHING = enum.auto()
    RESTART = enum.auto()  # of the process, in place
    MACHINE = enum.auto()  # of the machine


def run(config_path: Path, log_level: str | None = None) -> int:
    """Run the agent until it is told to end; return its exit code.

    A restart that was asked for replaces the process by itself: same arguments, same PID, so
    that systemd sees no interruption.

    Args:
        log_level: see `agent.runtime.logs.set_up`.
    """
    logs.set_up(log_level)
    try:
        config = load_config(config_path, check_setting)
        board = load_board(config.board)
        targets = [_dial_target(config, profile) for profile in config.csms]
        sources = _sources(config)
    except (FileProblems, SecretError, OSError) as error:
        # The first mistake ended the loading; whoever mends it wants to know of all.
        for problem in check_config(config_path, check_setting, check_board) or (error,):
            print(problem, file=sys.stderr)
        return EXIT_CONFIG
    try:
        ending = asyncio.run(Agent(config, board, targets, sources).run())
    except (BoardError, ProvisioningError) as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    except (OSError, HalError, StoreError) as error:
        logger.error("failed: %s", error)
        return EXIT_FAILED
    except BaseExceptionGroup as group:
        logger.error("a service failed", exc_info=group)
        return EXIT_FAILED
    if ending is Ending.RESTART:
        logger.warning("restarting")
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    if ending is Ending.MACHINE:
        logger.warning("the machine has to restart into other firmware")
        return EXIT_MACHINE
    return EXIT_DONE


def _dial_target(config: Config, profile: Csms) -> DialTarget:
    base = config.path.parent
    password = read_secret(profile.password, base) if profile.password else None
    return DialTarget(
        url=profile.url,
        identity=config.station.identity,
        protocols=profile.protocols,
        security_profile=profile.security_profile,
        password=password,
        append_identity=profile.append_identity,
        strict_subprotocol=profile.strict_subprotocol,
        sends_hex_text=profile.basic_auth_encoding == "hex_text",
    )


def _sources(config: Config) -> list[Source]:
    """Return what `[security]` names, read.

    Raises:
        SecretError: the private key cannot be read, or stands in the file itself.
        OSError: a certificate cannot be read.
    """
    security = config.security
    named = (
        (CertificateKind.CSMS_ROOT, security.csms_roots),
        (CertificateKind.MANUFACTURER_ROOT, security.manufacturer_roots),
        (CertificateKind.V2G_ROOT, security.v2g_roots),
        (CertificateKind.MO_ROOT, security.mo_roots),
    )
    found = [
        Source(kind, str(path), path.read_bytes()) for kind, paths in named for path in paths
    ]
    certificate, key = security.client_certificate, security.client_key
    if certificate is not None and key is not None:
        if key.text is not None:
            raise SecretError(
                "[security] client_key: a private key has to be a file or a credential"
            )
        secret = read_secret(key, config.path.parent)
        own = Source(
            CertificateKind.STATION, str(certificate), certificate.read_bytes(), secret
        )
        found.append(own)
    return found


def _spec(board: Board, evse: EvseSettings) -> EvseSpec:
    heat = evse.derating
    return EvseSpec(
        evse_id=evse.id,
        connectors=evse.connectors,
        max_a=evse.max_a,
        phases=evse.phases,
        conductors=tuple(int(name[1]) - 1 for name in evse.conductors),
        weight=evse.weight or 1,
        derates_c=None if heat is None else (heat.from_c, heat.to_c),
        switches_phases=evse.phase_switching,
        measures=board.measures(evse),
        is_dc=evse.is_dc,
        connector_type=evse.connector_type or ("cCCS2" if evse.is_dc else "Unknown"),
    )


def _site(board: Board, safe_a: float) -> Site:
    site = board.site
    return Site(
        fuse_a=site.max_a,
        voltage_v=site.voltage_v,
        terms=Terms(Sharing(site.sharing), site.rotate_s),
        grid_w=board.grid_input.limit_w if board.grid_input else None,
        safe_a=safe_a,
    )


def _to_grid(kernel: Kernel) -> Callable[[bool], None]:
    """Return what takes the grid operator's word to the kernel."""

    def changed(active: bool) -> None:
        kernel.post(GridInputChanged(active))

    return changed


class Agent:
    """Everything of one run that has to be opened and closed."""

    def __init__(
        self,
        config: Config,
        board: Board,
        targets: Sequence[DialTarget],
        sources: Sequence[Source] = (),
    ) -> None:
        self._config, self._board, self._targets = config, board, targets
        self._sources = sources
        self._notifier = Notifier()
        self._is_told_to_end = False

    async def run(self) -> Ending:
        """Serve until told to end; return what has to follow.

        Raises:
            BoardError: the board's drivers cannot be made.
            StoreError: another process has the storage, or it cannot be read.
            BaseExceptionGroup: a service failed; the outputs are safe.
        """
        hardware = build(self._board, state_directory=self._config.storage_directory)
        store, failure = self._opened()
        try:
            return await self._served(store, failure, hardware)
        finally:
            try:
                await hardware.close()
            finally:
                await store.close()
                self._notifier.close()

    # --- starting ---

    def _opened(self) -> tuple[Store, str | None]:
        """Open the store; one that cannot be opened leaves a station that only helps itself.

        Raises:
            StoreError: another process has it: two agents must not share hardware and link.
        """
        try:
            return Store.open(self._config.storage_directory), None
        except StoreError as error:
            code = getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_OK)
            if code & 0xFF == sqlite3.SQLITE_BUSY:
                raise
            logger.error("storage cannot be used, no transaction will start: %s", error)
            return Store.refusing(error.reason), error.reason

    def _restored(self, loaded: Loaded) -> Station:
        station = self._config.station
        info = StationInfo(
            identity=station.identity,
            vendor=station.vendor,
            model=station.model,
            serial_number=station.serial_number or None,
            firmware_version=upkeep.running_version(self._config) or None,
            box_serial_number=station.box_serial_number or None,
            iccid=station.iccid or None,
            imsi=station.imsi or None,
            meter_type=station.meter_type or None,
            meter_serial_number=station.meter_serial_number or None,
        )
        specs = tuple(_spec(self._board, evse) for evse in self._board.evses)
        return durable.restored(
            loaded.rows,
            loaded.records,
            info=info,
            specs=specs,
            profiles=len(self._targets),
            factory=factory_settings(self._config.settings),
            site=_site(self._board, self._config.external_limits.safe_a),
            protocols=upkeep.protocols(self._config),
            custom=(*custom_variables(self._config.custom_keys), *connector_types(specs)),
            networks=tuple(
                Network(profile.security_profile, profile.password is not None)
                for profile in self._config.csms
            ),
        )

    def _trusted(self, keystore: Keystore, known: Certificates) -> list[Event]:
        """Bring the certificate directory and the station's state together.

        Raises:
            ProvisioningError: the configuration names something that is no certificate.
        """
        found: list[Event] = []
        try:
            if not known.installed and not known.provisioned:
                found += recovered(keystore)
            else:
                pending = known.pending.key_id if known.pending else None
                keystore.tidy(known.installed, pending)
                lost = keystore.missing(known.installed)
                if lost:
                    logger.error("the certificate directory has lost %s", ", ".join(lost))
                    found.append(CertificatesLost(tuple(lost)))
            found += provisioned(self._sources, known.provisioned, keystore)
        except OSError as error:
            logger.error("the certificate directory cannot be used: %s", error)
        return found

    async def _served(self, store: Store, failure: str | None, hardware: Hardware) -> Ending:
        loaded = store.load()
        if loaded.set_aside_path:
            logger.error("the database was unusable and lies in %s", loaded.set_aside_path)
        station = self._restored(loaded)
        for row in durable.unreadable(loaded.rows, station.settings):
            logger.error("cannot read what was stored as %s; going on without it", row)
        last = durable.boot_row(loaded.rows)
        security_log = SecurityLog(self._config.storage_directory)
        keystore = Keystore(self._config.storage_directory)
        trusted = await asyncio.to_thread(self._trusted, keystore, station.certificates)
        world = SystemWorld(last.boot + 1)
        shell = Shell(
            station=station,
            store=store,
            evses=hardware.evses,
            dialer=WebSocketDialer(),
            profiles=self._targets,
            adapters=adapter_for,
            project=project,
            world=world,
            simulator=hardware.simulator,
            ports=hardware.ports,
            logbook=Logbook(security_log),
            keystore=keystore,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, shell)
        machine = _machine_boot()
        same_machine = bool(machine) and machine == last.machine
        cause = BootReason.APPLICATION_RESET if same_machine else BootReason.POWER_UP
        first: list[Event] = [StorageFailed(failure)] if failure else []
        first += (*trusted, PowerUp(cause, machine), security.started(last.intended or cause))
        if last.boot and not security_log.was_there:
            first.append(SecurityEventRaised("SecurityLogWasCleared"))
        services = [
            self._watched(shell.kernel),
            *self._limits(shell),
            *self._upkeep(shell, world),
        ]
        if hardware.grid_input is not None:
            services.append(hardware.grid_input.run(_to_grid(shell.kernel)))
        # What has been imported and built stays: later collections need not look through it.
        gc.freeze()
        await shell.run(first, *services, socket=self._config.control_socket)
        return self._ending(shell.restart)

    def _ending(self, restart: BootReason | None) -> Ending:
        if restart is None or self._is_told_to_end:
            return Ending.NOTHING
        if restart is not BootReason.FIRMWARE_UPDATE:
            return Ending.RESTART
        if self._config.firmware.installer in upkeep.OF_MACHINES:
            return Ending.MACHINE
        return Ending.NOTHING  # who starts the agent starts the new one: this is the old one

    def _upkeep(self, shell: Shell, world: SystemWorld) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what records, carries out updates and sends logs."""
        kernel, recorder = shell.kernel, None
        if self._config.trace_bytes:
            directory, most_bytes = self._config.storage_directory, self._config.trace_bytes
            recorder = Recorder(kernel, directory, most_bytes)
            yield recorder.run()
        uploader = upkeep.uploader(self._config, kernel, shell.control.facts, recorder)
        shell.control.bundle = uploader.bundle
        yield uploader.run()

        def wall_s() -> float | None:
            return kernel.station.timebase.dated(world.env().now).wall_s

        updater = upkeep.updater(self._config, kernel, wall_s)
        if updater is not None:
            yield updater.run()

    def _limits(self, shell: Shell) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield the server for a local energy manager, if there is to be one."""
        modbus = self._config.external_limits.modbus
        if modbus is None:
            return
        from agent.runtime.modbus_limits import LimitServer  # noqa: PLC0415 - rarely needed

        clock = SystemWorld(0).monotonic_s
        server = LimitServer(
            shell.control.asked, lambda: shell.kernel.station, clock, unit=modbus.unit
        )
        yield server.run(modbus.host, modbus.port)

    def _end(self, shell: Shell) -> None:
        """Obey a signal; a restart is no end, so systemd hears nothing of one."""
        self._is_told_to_end = True
        self._notifier.stopping("making the outputs safe")
        shell.stop()

    async def _watched(self, kernel: Kernel) -> None:
        """Show systemd life: a pulse that has passed through kernel and store."""
        await kernel.pulse()
        self._notifier.ready("serving")
        interval = watchdog_interval_s()
        while interval is not None:
            await asyncio.sleep(interval)
            await kernel.pulse()
            self._notifier.watchdog()


def _machine_boot() -> str:
    """Return the id of the machine's boot, empty where nobody tells it."""
    told = os.environ.get(MACHINE_BOOT_VARIABLE)
    if told:
        return told
    try:
        return MACHINE_BOOT.read_text().strip()
    except OSError:
        return ""
