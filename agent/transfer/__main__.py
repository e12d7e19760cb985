"""The process: one job in, lines out, and an end with the agent's."""

import importlib
import os
import sys
import threading
from typing import Final

import msgspec

from agent.background import yield_to_others
from agent.transfer.job import Failed, Finished, Job, Place, Reason, Said, TransferError
from agent.transfer.passage import Passage, watch

_MODULES: Final = {
    "http": "http",
    "https": "http",
    "ftp": "ftp",
    "ftps": "ftp",
    "sftp": "sftp",
}


def main() -> int:
    """Do the job on the standard input; return the exit code."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    passage = Passage(_say, job.bytes_per_s)
    watch(job, passage.moved, _give_up)
    yield_to_others()
    _say(_outcome(job, passage))
    return 0


def _outcome(job: Job, passage: Passage) -> Finished | Failed:
    """Do the job; return how it ended, without a word of what is secret."""
    try:
        place = Place(job.url)
    except TransferError as error:
        return Failed(error.reason, str(error))
    try:
        return Finished(_done(job, place.scheme, passage))
    except TransferError as error:
        return Failed(error.reason, place.without_secrets(str(error)))
    except OSError as error:
        return Failed(Reason.FAILED, f"{type(error).__name__}: {error.strerror}")
    except Exception as error:  # noqa: BLE001  a traceback may show the location
        return Failed(Reason.FAILED, place.without_secrets(f"{type(error).__name__}: {error}"))


def _done(job: Job, scheme: str, passage: Passage) -> int:
    name = _MODULES.get(scheme)
    if name is None:
        raise TransferError(Reason.UNSUPPORTED, f"{scheme} is not served")
    try:
        module = importlib.import_module(f"agent.transfer.{name}")
    except ImportError:
        raise TransferError(
            Reason.UNSUPPORTED, f"what {scheme} needs is not installed"
        ) from None
    size: int = (module.send if job.is_upload else module.fetch)(job, passage)
    return size


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def _give_up(why: str) -> None:
    """End from another thread; what has come stays for the next attempt."""
    os.write(sys.stdout.fileno(), msgspec.json.encode(Failed(Reason.FAILED, why)) + b"\n")
    os._exit(0)


def _end_with_parent() -> None:
    """End when the agent has: it keeps our standard input open as long as it lives."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
