"""Wires what keeps the agent up to date and accountable: updates, and logs for whoever asks."""

import logging
from collections.abc import Callable

from agent.config import Config, Swupdate
from agent.config_transfer import LEARNED, hosts_files, serves_sftp
from agent.firmware.errors import UnreadableImageError
from agent.firmware.manifest import decoded
from agent.firmware.task import SwupdateSetup
from agent.runtime.kernel import Kernel
from agent.runtime.recorder import Recorder
from agent.runtime.transfers import FileSetup
from agent.runtime.updater import Setup, Updater
from agent.runtime.uploader import Facts, LogSetup, Uploader
from agent.secret import Secret, SecretError, read_secret
from agent.security.keystore import Keystore
from agent.transfer import job

logger = logging.getLogger(__name__)

OF_MACHINES = frozenset({"rauc", "swupdate"})
"""Those whose images are systems: the machine has to restart into one."""


def running_version(config: Config) -> str:
    """Return the version of the image that runs: its manifest's, else the configuration's."""
    configured = config.station.firmware_version
    if config.firmware.installer != "slots":
        return configured
    manifest = config.path.parent / config.firmware.slots / "current" / "manifest.json"
    try:
        return decoded(manifest.read_bytes()).version
    except (OSError, UnreadableImageError):
        return configured  # the image that the station was made with


def updater(
    config: Config, kernel: Kernel, wall_s: Callable[[], float | None]
) -> Updater | None:
    """Return what carries out updates, None when the station has no installer."""
    firmware, base = config.firmware, config.path.parent
    if firmware.installer == "none":
        return None
    storage = config.storage_directory
    setup = Setup(
        installer=firmware.installer,
        directory=storage / "firmware",
        product=config.station.model,
        version=running_version(config),
        hardware=firmware.hardware,
        slots=str(base / firmware.slots),
        command=firmware.command,
        swupdate=_of_swupdate(firmware.swupdate),
        restarts_machine=firmware.installer in OF_MACHINES,
        crls=tuple(base / path for path in firmware.revocation_lists),
        keystore=Keystore(storage),
        files=files(config),
        allows_downgrade=firmware.allow_downgrade,
        most_bytes=firmware.max_bytes,
    )
    return Updater(setup, kernel, wall_s)


def _of_swupdate(table: Swupdate) -> SwupdateSetup:
    return SwupdateSetup(table.sockets, table.variable, table.slots)


def uploader(
    config: Config, kernel: Kernel, facts: Facts, recorder: Recorder | None = None
) -> Uploader:
    """Return what writes and sends logs, among them what the recorder has kept."""
    storage = config.storage_directory
    flush = None if recorder is None else recorder.flush
    setup = LogSetup(
        storage, secrets(config), files(config), flush=flush, log_files=config.log_files
    )
    return Uploader(setup, kernel, facts)


def protocols(config: Config) -> tuple[str, ...]:
    """Return how files can be fetched and sent, as SupportedFileTransferProtocols lists it."""
    has_hosts = serves_sftp(config.transfer, config.storage_directory)
    return tuple(name for name in job.protocols() if name != "SFTP" or has_hosts)


def files(config: Config) -> FileSetup:
    """Return how files are fetched and sent."""
    storage, transfer = config.storage_directory, config.transfer

    def ssh_key() -> str | None:
        """Read it when it is needed: it may have been changed since, and is not kept."""
        if transfer.ssh_key is None:
            return None
        try:
            return read_secret(transfer.ssh_key, config.path.parent).decode()
        except (SecretError, UnicodeDecodeError) as error:
            logger.error("[transfer] ssh_key: %s", error)
            return None

    return FileSetup(
        keystore=Keystore(storage),
        known_hosts=hosts_files(transfer, storage),
        learned_hosts=storage / LEARNED if transfer.unknown_hosts == "learn" else None,
        ssh_key=ssh_key,
        implicit_ftps_ports=transfer.implicit_ftps_ports,
    )


def secrets(config: Config) -> tuple[str, ...]:
    """Return the texts that no log may hold; what is no text is in no log."""
    named: list[Secret | None] = [profile.password for profile in config.csms]
    found: list[str] = []
    for secret in named:
        try:
            if secret is not None:
                found.append(read_secret(secret, config.path.parent).decode())
        except (SecretError, UnicodeDecodeError):
            continue
    return tuple(found)
