"""One device on a Modbus line, as its register map describes it: what every driver shares.

`MappedDevice` brings the device's patience and pauses to the line, finds the models of a
SunSpec device, asks in few wide reads and learns which of them the device refuses, and
writes what a map allows. What the values mean is the driver's business.
"""

from collections.abc import Collection

from hal.bus.modbus import ModbusPort
from hal.bus.modbus_request import ExceptionReplyError
from hal.bus.turns import Priority
from hal.errors import DeviceError
from hal.registers import sunspec
from hal.registers.codec import Point, text_of
from hal.registers.commands import Write
from hal.registers.map import RegisterMap
from hal.registers.plan import Read, narrow, plan, unpack

_WRITE_COIL = 5
_READ_COILS, _READ_HOLDING, _READ_INPUT = 1, 3, 4


class MappedDevice:
    """A device at one unit of a port.

    A merged read that the device refuses as an illegal address is split, and the split is
    kept until the next `prepare`; an optional point that the device does not have is left
    out from then on.

    Attributes:
        map: its registers; those of a SunSpec device where they really are, once prepared.
        points: the wanted ones, in the order of the map.
    """

    def __init__(
        self,
        port: ModbusPort,
        unit: int,
        register_map: RegisterMap,
        *,
        names: Collection[str] | None = None,
    ) -> None:
        """Say where the device is; nothing is sent yet.

        Args:
            port: the line that it is on; shared with other devices.
            unit: its address, 1 to 255.
            register_map: what its registers mean.
            names: which points are wanted; None for all that the map has.
        """
        port.pace(unit, register_map.bus.gap_s)
        self._port, self._unit = port, unit
        self._as_loaded, self._names = register_map, names
        self._timeout_s = register_map.bus.timeout_s
        self._retries = 1 if register_map.bus.wakes else 0
        self._reads: tuple[Read, ...] = ()
        self.map = register_map
        self.points = self._wanted()

    async def prepare(self) -> None:
        """Find out where the registers are, and forget what the device refused.

        Raises:
            BusError: the line did not carry an exchange.
            DeviceError: the device does not have what its map says.
        """
        if self._as_loaded.sunspec is not None:
            moved = sunspec.moved(self._as_loaded, await self._models())
            if moved is None:
                wanted = ", ".join(str(number) for number in self._as_loaded.sunspec.models)
                raise DeviceError(f"the device has no SunSpec model {wanted}")
            self.map = moved
            self.points = self._wanted()
        bus = self.map.bus
        self._reads = plan(self.points, max_registers=bus.max_registers, max_gap=bus.max_gap)

    async def values(self, *, priority: Priority = Priority.POLL) -> dict[str, float | None]:
        """Return the value of each wanted point by its name, None where it has none.

        Raises:
            BusError: the line did not carry an exchange.
            DeviceError: the device refused, or answered with something else.
        """
        if len(self._reads) == 1:  # as most controllers, and the better meters
            return await self._fetched(self._reads[0], priority)
        values: dict[str, float | None] = {}
        for read in self._reads:
            values |= await self._fetched(read, priority)
        return values

    async def identity(self) -> dict[str, str]:
        """Return what the device says about itself; what it does not say is left out.

        Raises:
            BusError: the line did not carry an exchange.
        """
        said: dict[str, str] = {}
        for text in self.map.identity:
            try:
                words = await self._read(text.fc, text.address, text.count, Priority.POLL)
            except DeviceError:
                continue
            if content := text_of(text, words):
                said[text.name] = content
        return said

    async def write(self, write: Write, *, priority: Priority = Priority.COMMAND) -> None:
        """Write; to a register that wears out only what is not there yet.

        Raises:
            BusError: the line did not carry it; the device has the old or the new words.
            DeviceError: the device refused.
        """
        if write.table is not None:
            unit, count = write.table.unit, write.table.count
            own = (self._unit - 1, write.words[0])
            await self._port.share(unit, write.address, count, own, priority=priority)
            return
        if write.nv and await self.held(write, priority=priority) == write.words:
            return
        await self._port.write(
            self._unit,
            write.address,
            write.words,
            fc=write.fc,
            priority=priority,
            timeout_s=self._timeout_s,
            retries=self._retries,
        )

    async def held(self, write: Write, *, priority: Priority) -> tuple[int, ...]:
        """Return what stands where a write goes, or of a table, what the device took from it.

        Raises:
            BusError: the line did not carry the exchange.
            DeviceError: the device refused.
        """
        if write.table is not None:
            return await self._read(_READ_INPUT, write.table.confirm, 1, priority)
        fc = _READ_COILS if write.fc == _WRITE_COIL else _READ_HOLDING
        return await self._read(fc, write.address, len(write.words), priority)

    def _wanted(self) -> tuple[Point, ...]:
        names = self._names
        return tuple(point for point in self.map.points if names is None or point.name in names)

    async def _models(self) -> dict[int, int]:
        """Walk the chain of a SunSpec device; return the address of each model by its id.

        Raises:
            DeviceError: there is no chain at any of the usual addresses.
        """
        for base in sunspec.BASES:
            try:
                mark = await self._read(_READ_HOLDING, base, 2, Priority.POLL)
            except ExceptionReplyError:
                continue
            if mark == sunspec.MARK:
                return await self._chain(base + len(sunspec.MARK))
        bases = ", ".join(str(base) for base in sunspec.BASES)
        raise DeviceError(f"no SunSpec device: there is no mark at {bases}")

    async def _chain(self, address: int) -> dict[int, int]:
        models: dict[int, int] = {}
        for _ in range(sunspec.MAX_MODELS):
            number, length = await self._read(_READ_HOLDING, address, 2, Priority.POLL)
            model = sunspec.model_at(address, (number, length))
            if model is None:
                break
            models.setdefault(model.id, model.address)
            address = model.next_address
        return models

    async def _fetched(self, read: Read, priority: Priority) -> dict[str, float | None]:
        """Return the values of one read, made smaller where the device refuses it."""
        try:
            words = await self._port.read(
                self._unit,
                read.fc,
                read.address,
                read.count,
                priority=priority,
                timeout_s=self._timeout_s,
                retries=self._retries,
            )
        except ExceptionReplyError as error:
            smaller = narrow(read) if error.is_illegal_address else None
            if smaller is None:
                raise
        else:
            return unpack(read, words)
        at = self._reads.index(read)
        self._reads = (*self._reads[:at], *smaller, *self._reads[at + 1 :])
        values: dict[str, float | None] = {}
        for part in smaller:
            values |= await self._fetched(part, priority)
        return values

    async def _read(
        self, fc: int, address: int, count: int, priority: Priority
    ) -> tuple[int, ...]:
        return await self._port.read(
            self._unit,
            fc,
            address,
            count,
            priority=priority,
            timeout_s=self._timeout_s,
            retries=self._retries,
        )
