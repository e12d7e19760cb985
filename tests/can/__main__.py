"""Try CAN lines on the kernel's SocketCAN: here if it has it, else in a small virtual machine.

    python -m tests.can

Here it needs root, and works in a network namespace of its own. The machine boots Debian's
kernel in QEMU (without KVM: it works everywhere) with this file system as its root, read-only;
kernel and busybox are downloaded once by `apt-get download` into PILOTWIRE_CAN_VM. Where
neither is possible it says so and ends well, unless PILOTWIRE_CAN=required.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
INTERFACE = "vcan0"
HERE = f"ip link add {INTERFACE} type vcan && ip link set lo up && ip link set {INTERFACE} up"
TOOLS = ("qemu-system-x86_64", "dpkg-deb", "apt-get", "cpio", "gzip")
PATIENCE_S = 400.0
PASSED = "can: guest passed"

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "fs/netfs/netfs",
    "fs/fscache/fscache",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "net/can/can",
    "net/can/can-raw",
    "drivers/net/can/dev/can-dev",
    "drivers/net/can/vcan",
)
"""In this order, for the kernel of Debian 12; those that are built in or not there are left out."""

INIT = """\
#!/bin/busybox sh
B=/bin/busybox
$B mount -t devtmpfs d /dev
for module in /lib/*.ko; do $B insmod $module; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /newroot
$B mount -t proc p /newroot/proc
$B mount -t sysfs s /newroot/sys
$B mount --bind /dev /newroot/dev
$B chroot /newroot /bin/sh -c '@COMMAND@' && $B echo '@PASSED@'
$B poweroff -f
"""


def main() -> int:
    is_required = os.environ.get("PILOTWIRE_CAN") == "required"
    began_s = time.monotonic()
    inside = f"cd {PROJECT} && PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m tests.can.inside {INTERFACE}"
    if _has_vcan():
        where, code = (
            "here",
            subprocess.run(
                ["unshare", "-n", "sh", "-c", f"{HERE} && {inside}"], check=False
            ).returncode,
        )
    else:
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            print(
                f"can: SKIPPED, the kernel has no vcan for us, and this machine lacks: {', '.join(missing)}"
            )
            return int(is_required)
        where, code = "in a virtual machine", _in_guest(f"{HERE} && {inside}")
    print(
        f"can: {'FAILED' if code else 'passed'} {where} in {time.monotonic() - began_s:.1f} s"
    )
    return code


def _has_vcan() -> bool:
    """Tell whether this kernel lets us make a virtual CAN interface."""
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError:
        return False
    made = subprocess.run(["unshare", "-n", "sh", "-c", HERE], capture_output=True, check=False)
    return made.returncode == 0


def _in_guest(command: str) -> int:
    kernel, image = _made(command)
    arguments = [
        "timeout",
        str(PATIENCE_S),
        "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35", "-smp", "2",
        "-m", "768", "-nodefaults", "-display", "none", "-no-reboot", "-kernel", str(kernel),
        "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr",
        "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        "-serial", "stdio", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    with subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as guest:
        is_passed = False
        for line in guest.stdout:
            print(f"  {line.rstrip()}", flush=True)
            is_passed |= line.strip() == PASSED
    return 0 if is_passed else 1


def _made(command: str) -> tuple[Path, Path]:
    """Return the kernel, and the initial file system that runs a command in ours."""
    cache = Path(os.environ.get("PILOTWIRE_CAN_VM", "/var/cache/pilotwire-can"))
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "kernel").is_dir():
        _downloaded(cache)
    (modules,) = (cache / "kernel/lib/modules").iterdir()
    (kernel,) = (cache / "kernel/boot").glob("vmlinuz-*")
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        for name in ("bin", "lib", "dev", "newroot"):
            (root / name).mkdir()
        shutil.copy(cache / "busybox/bin/busybox", root / "bin")
        for number, name in enumerate(MODULES):
            found = modules / "kernel" / f"{name}.ko"
            if found.is_file():
                shutil.copy(found, root / "lib" / f"{number:02d}-{found.name}")
        init = root / "init"
        init.write_text(INIT.replace("@COMMAND@", command).replace("@PASSED@", PASSED))
        init.chmod(0o755)
        packed = f"cd {root} && find . | cpio -o -H newc --quiet | gzip -1 > {cache}/initrd"
        subprocess.run(["sh", "-c", packed], check=True)
    return kernel, cache / "initrd"


def _downloaded(cache: Path) -> None:
    """Download and unpack Debian's kernel (not the cloud one: it has no CAN) and busybox."""
    said = subprocess.run(
        ["apt-cache", "depends", "linux-image-amd64"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    package = next(line.split()[-1] for line in said.splitlines() if "Depends:" in line)
    for name, directory in ((package, "kernel"), ("busybox-static", "busybox")):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(
                ["apt-get", "download", name], cwd=work, check=True, capture_output=True
            )
            (archive,) = Path(work).glob("*.deb")
            subprocess.run(
                ["dpkg-deb", "-x", str(archive), str(cache / f"{directory}.new")], check=True
            )
        (cache / f"{directory}.new").rename(cache / directory)


if __name__ == "__main__":
    sys.exit(main())
