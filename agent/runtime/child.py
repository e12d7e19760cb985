"""A helper process: one job on its standard input, JSON lines on its standard output.

The process ends when the agent does (it reads its standard input to the end), when nobody
waits for it any more, and after a time limit. What it writes to its standard error goes where
the agent's does.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

logger = logging.getLogger(__name__)

LONGEST_LINE: Final = 65_536


class ChildError(Exception):
    """The process ended without saying what became of its job."""


async def run_child(
    module: str,
    job: object,
    said: Any,
    *,
    limit_s: float,
    is_last: Callable[[Any], bool] = lambda _: True,
) -> Any:
    """Let `python -m module` do a job; return its last word.

    Args:
        job: encoded as one line of JSON.
        said: type of the lines that come back.
        is_last: tells the last word from progress.

    Raises:
        ChildError: it ended, or its time did, before it said the last word.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    try:
        async with asyncio.timeout(limit_s):
            return await _talked(process, msgspec.json.encode(job) + b"\n", said, is_last)
    except TimeoutError:
        raise ChildError(f"not done within {limit_s:.0f} s") from None
    except (ConnectionError, ValueError) as error:  # among them what JSON is not
        raise ChildError(f"not understood: {error}") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _talked(
    process: asyncio.subprocess.Process, job: bytes, said: Any, is_last: Callable[[Any], bool]
) -> Any:
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101  pipes
    process.stdin.write(job)
    await process.stdin.drain()
    while line := await process.stdout.readline():
        word = msgspec.json.decode(line, type=said)
        if is_last(word):
            return word
    code = await process.wait()
    raise ChildError(f"ended with {code} before it was done")
