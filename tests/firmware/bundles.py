"""Bundles made by the tests as the build machine makes them."""

import hashlib
import io
import tarfile

from agent.firmware import manifest as manifests
from agent.firmware.manifest import Manifest
from agent.firmware.task import Deed, Task
from tests.firmware.pki import NOW_S, ec_key, leaf, root, signed

FILES = {"bin/pilotwire": b"#!/bin/sh\necho new\n", "version": b"1.5.0\n"}


def archive(files=FILES, *members):
    """Return a tar.gz of files, and of members that are given whole."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return buffer.getvalue()


def bundle(payload=None, key=None, certificate=None, **changes):
    payload = archive() if payload is None else payload
    fields = {
        "product": "Wallbox One",
        "hardware": ("r1", "r2"),
        "version": "1.5.0",
        "size": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    manifest = Manifest(**{**fields, **changes})
    signature = signed(key or ec_key("signer"), manifests.encoded(manifest))
    return manifests.packed(manifest, signature, certificate or leaf()) + payload


class Station:
    """A station with plain slots, and its trust; makes tasks."""

    def __init__(self, directory):
        self.slots = directory / "opt"
        (self.slots / "slots/a/bin").mkdir(parents=True)
        (self.slots / "slots/a/bin/pilotwire").write_text("old")
        (self.slots / "current").symlink_to("slots/a")
        self.image = directory / "image"
        self.root = directory / "root.pem"
        self.root.write_bytes(root())

    def task(self, deed, **changes):
        fields = {
            "installer": "slots",
            "slots": str(self.slots),
            "image": str(self.image),
            "roots": (str(self.root),),
            "at_s": NOW_S,
            "product": "Wallbox One",
            "hardware": "r2",
            "version": "1.4.0",
            "most_bytes": 1 << 20,
        }
        return Task(deed, **{**fields, **changes})

    @property
    def current(self):
        return (self.slots / "current").readlink().name

    @property
    def is_untouched(self):
        slots = sorted(path.name for path in (self.slots / "slots").iterdir())
        return slots == ["a"] and self.current == "a"


__all__ = ["Deed", "Station", "archive", "bundle"]
