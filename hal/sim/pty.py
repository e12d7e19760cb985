"""A serial line without wires: a pseudo terminal with streams at our end."""

import asyncio
import os
import tty


class Pty:
    """One pseudo terminal.

    Attributes:
        path: what the other side opens as its serial line.
        reader, writer: our end.
    """

    def __init__(
        self,
        descriptor: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        reading: asyncio.BaseTransport,
    ) -> None:
        """Take an open terminal; `descriptor` is the other side's end, kept open."""
        self.path = os.ttyname(descriptor)
        self.reader, self.writer = reader, writer
        self._descriptor, self._reading = descriptor, reading

    def close(self) -> None:
        """Let go of it; whoever has it open sees a line that was pulled out."""
        self._reading.close()
        self.writer.close()
        os.close(self._descriptor)


async def open_pty() -> Pty:
    """Return a fresh pseudo terminal, raw at both ends.

    Raises:
        OSError: there is none left.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)  # held open: a line without users must not look pulled out
    reader = asyncio.StreamReader()
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(ours), "rb", 0)
    )
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(ours, "wb", 0)
    )
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    return Pty(theirs, reader, writer, reading)
