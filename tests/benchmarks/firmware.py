"""Firmware: what verifying an image costs beside OpenSSL's own tool, and in memory.

Both sides are processes that verify the same signature over the same 256 MiB. What is compared is
the throughput: the time for the whole image less the time for its first MiB, so that starting
Python and importing cryptography, some 0.1 s once per update, is in neither figure.

Memory is the most that the verifying process ever had (VmHWM), beside that of verifying 1 MiB: it
must not grow with the image.
"""

import base64
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from agent.firmware.task import Deed, Task
from tests.benchmarks.children import mib, telling
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.firmware.pki import NOW_S, ec_key, leaf, root, signed

MIB: Final = 1 << 20
WHOLE: Final = 256
ROUNDS: Final = 5
MOST_MIB: Final = 48.0


class _Bench:
    """One image with its signature, and both ways to verify it."""

    def __init__(self, directory: Path, mebibytes: int) -> None:
        self._image = directory / f"image-{mebibytes}"
        block = bytes(range(256)) * 4096
        with self._image.open("wb") as file:
            for number in range(mebibytes):
                file.write(block[number:] + block[:number])
        signature = signed(ec_key("signer"), self._image.read_bytes())
        self._signature = directory / f"signature-{mebibytes}"
        self._signature.write_bytes(signature)
        certificate = directory / "leaf.pem"
        certificate.write_bytes(leaf())
        (directory / "root.pem").write_bytes(root())
        self._key = directory / "key.pem"
        shown = ("openssl", "x509", "-in", certificate, "-pubkey", "-noout")
        self._key.write_bytes(subprocess.run(shown, check=True, capture_output=True).stdout)
        task = Task(
            Deed.VERIFY,
            "command",
            command=("/bin/true",),
            image=str(self._image),
            certificate=certificate.read_text(),
            signature=base64.b64encode(signature).decode(),
            roots=(str(directory / "root.pem"),),
            at_s=NOW_S,
            product="Wallbox One",
            version="1.4.0",
        )
        self._task = msgspec.json.encode(task) + b"\n"

    def ours(self) -> None:
        self._done((sys.executable, "-m", "agent.firmware"))

    def most_mib(self) -> float:
        """Verify; return the most memory that the process ever had."""
        return mib(self._done(telling("agent.firmware")).decode(), "VmHWM")

    def _done(self, command: Sequence[str]) -> bytes:
        said = subprocess.run(command, input=self._task, check=True, capture_output=True)
        if b'"done"' not in said.stdout:
            raise BenchmarkError(f"a good image is refused: {said.stdout.decode()}")
        return said.stderr

    def theirs(self) -> None:
        options = ("-sha256", "-verify", self._key, "-signature", self._signature)
        command = ("openssl", "dgst", *options, self._image)
        subprocess.run(command, check=True, capture_output=True)


def _s(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _measure() -> Sequence[Figures]:
    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as name:
        small, large = _Bench(Path(name), 1), _Bench(Path(name), WHOLE)
        least_mib, most_mib = small.most_mib(), large.most_mib()
        ours, theirs = list[float](), list[float]()
        for _ in range(ROUNDS):
            ours.append(_s(large.ours) - _s(small.ours))
            theirs.append(_s(large.theirs) - _s(small.theirs))
    return (
        Figures((WHOLE - 1) / median(ours), (WHOLE - 1) / median(theirs)),
        Figures(most_mib, MOST_MIB),
        Figures(most_mib, least_mib),
    )


FIRMWARE = Benchmark(
    rows=(
        Row(
            "firmware.verify",
            "a signature over 256 MiB, the start of the process left out",
            "MiB/s",
            Sense.MORE,
            0.9,
        ),
        Row(
            "firmware.memory",
            "of the verifying process, whatever the size",
            "MiB",
            Sense.COST,
            1.0,
        ),
        Row(
            "firmware.growth",
            "of it from an image of 1 MiB to 256 MiB",
            "MiB",
            Sense.COST,
            1.05,
        ),
    ),
    measure=_measure,
)
