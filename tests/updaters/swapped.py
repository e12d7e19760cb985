"""Inside the container, as the agent's user: another file takes the image's name in between.

    python3 -m tests.updaters.swapped OTHER <TASK

It does what the installer's process does with a task, and after the check, before the updater is
called, renames OTHER over the image.
"""

import sys
from pathlib import Path

import msgspec

from agent.firmware import __main__ as process
from agent.firmware.image import Image, Order, verified
from agent.firmware.task import Task
from agent.firmware.verify import Installed


def main():
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    station = Installed(task.product, task.hardware, task.version)
    order = Order(process._keyring(task), station, task.at_s, task.certificate, task.signature)
    with Image(Path(task.image)) as image:
        payload, header = verified(image, order)
        Path(sys.argv[1]).replace(task.image)
        print(process.installer(task).install(payload, header))
    return 0


if __name__ == "__main__":
    sys.exit(main())
