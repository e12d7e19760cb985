"""The process: one job in, lines out, and an end with the agent's."""

import importlib
import os
import signal
import sys
import threading
from typing import Final

import msgspec

from agent.transfer.job import Failed, Finished, Job, Place, Reason, Said, TransferError

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
    signal.alarm(job.limit_s)  # ends the process, whatever it waits for
    os.nice(10)
    try:
        _say(Finished(_done(job)))
    except TransferError as error:
        _say(Failed(error.reason, str(error)))
    except OSError as error:
        _say(Failed(Reason.FAILED, f"{type(error).__name__}: {error.strerror}"))
    return 0


def _done(job: Job) -> int:
    place = Place(job.url)
    name = _MODULES.get(place.scheme)
    if name is None:
        raise TransferError(Reason.UNSUPPORTED, f"{place.scheme} is not served")
    try:
        module = importlib.import_module(f"agent.transfer.{name}")
    except ImportError:
        raise TransferError(
            Reason.UNSUPPORTED, f"what {place.scheme} needs is not installed"
        ) from None
    size: int = (module.send if job.is_upload else module.fetch)(job, _say)
    return size


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    """End when the agent has: it keeps our standard input open as long as it lives."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
