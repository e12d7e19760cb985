"""RAUC's service as its documented interface has it: two slots, on the bus of the environment.

    python -m tests.firmware.fake_rauc STATE

STATE is a JSON file that it begins with and writes back after every call.
"""

import json
import sys
from pathlib import Path

from jeepney import (
    DBusAddress,
    HeaderFields,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection

NAME = "de.pengutronix.rauc"
RAUC = DBusAddress("/", bus_name=NAME, interface=f"{NAME}.Installer")
PROPERTIES = DBusAddress("/", bus_name=NAME, interface="org.freedesktop.DBus.Properties")
METHODS = {
    "Get": "get",
    "GetSlotStatus": "slot_status",
    "GetPrimary": "get_primary",
    "Mark": "mark",
    "InstallBundle": "install",
}


class Service:
    def __init__(self, path):
        self.path, self.state = path, json.loads(path.read_text())
        self.error = ""
        self.connection = open_dbus_connection(bus="SYSTEM")
        self.connection.send_and_get_reply(message_bus.RequestName(NAME))

    def serve(self):
        print("ready", flush=True)
        while True:
            message = self.connection.receive()
            if message.header.message_type is not MessageType.method_call:
                continue
            member = message.header.fields[HeaderFields.member]
            self.state["calls"].append(
                f"{member} {' '.join(map(str, message.body[:2]))}".strip()
            )
            getattr(self, METHODS[member])(message)
            self.write()

    def write(self):
        passing = self.path.with_suffix(".new")
        passing.write_text(json.dumps(self.state))
        passing.replace(self.path)

    def answer(self, message, signature, *body):
        self.connection.send(new_method_return(message, signature, body))

    def signal(self, member, signature, *body, source=RAUC):
        self.connection.send(new_signal(source, member, signature, body))

    def slot(self, which):
        booted = self.state["booted"]
        other = next(name for name in self.state["slots"] if name != booted)
        return {"booted": booted, "other": other}[which]

    def get(self, message):
        values = {"Operation": ("s", self.state["operation"]), "LastError": ("s", self.error)}
        self.answer(message, "v", values[message.body[1]])
        if self.state["operation"] == "installing":  # of somebody else, and it ends now
            self.state["operation"] = "idle"
            self.signal("Completed", "i", 1)

    def slot_status(self, message):
        slots = []
        for name, facts in self.state["slots"].items():
            told = {key: ("s", value) for key, value in facts.items()}
            told["state"] = ("s", "booted" if name == self.state["booted"] else "inactive")
            slots.append((name, told))
        self.answer(message, "a(sa{sv})", slots)

    def get_primary(self, message):
        self.answer(message, "s", self.state["primary"])

    def mark(self, message):
        what, which = message.body
        name = self.slot(which)
        if what == "active":
            self.state["primary"] = name
        else:
            self.state["slots"][name]["boot-status"] = what
        self.answer(message, "ss", name, f"marked slot {name} as {what}")

    def install(self, message):
        if "busy" in self.state:
            self.connection.send(
                new_error(message, "org.gtk.GDBus.UnmappedGError", "s", ("already processing",))
            )
            return
        self.answer(message, None)
        content = Path(message.body[0]).read_bytes()
        self.changed(("Operation", ("s", "installing")))
        self.changed(("Progress", ("(isi)", (40, "Copying image to rootfs.1", 2))))
        if "dies" in self.state:
            sys.exit(1)
        if content.startswith(b"evil"):
            self.error = "signature verification failed: no signer"
            self.signal("Completed", "i", 1)
            return
        self.state["written"] = content.decode()
        if self.state["activates"]:
            self.state["primary"] = self.slot("other")
        self.signal("Completed", "i", 0)

    def changed(self, *pairs):
        self.signal(
            "PropertiesChanged", "sa{sv}as", RAUC.interface, dict(pairs), [], source=PROPERTIES
        )


if __name__ == "__main__":
    Service(Path(sys.argv[1])).serve()
