"""The link to the CSMS: dials when the station wants one, and holds one conversation on it.

`CsmsLink` follows the level `targets(station).dial`: as long as it names a network profile
there is one socket, or one dial, and never two. What happens on it goes to the kernel as
events. A `Conversation` lives as long as its link (agent.runtime.conversation).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from agent.core import connection, variables
from agent.core.effects import CloseLink, DataTransferSent, Effect, Message, Record, Report
from agent.core.events import DialFailed, Event, LinkDown, LinkUp, QuirksTolerated
from agent.core.station import Station
from agent.ocpp.adapter import Adapter
from agent.ocppj.quirks import Quirk
from agent.runtime import credentials
from agent.runtime.clock import World
from agent.runtime.conversation import Conversation
from agent.runtime.exchange import Inbox, ReadRecord, Sent, WireObserver
from agent.runtime.requests import Requests
from agent.security.keystore import Keystore
from agent.transport.link import Dialer, DialError, DialTarget, Link

logger = logging.getLogger(__name__)

PING_TIMEOUT_BOUNDS_S: Final = (5.0, 30.0)
"""How long a pong may take (1.6 reference 1.3)."""

LEAVE_S: Final = 1.0
"""How long the CSMS may take to answer our close at the end of the agent."""

RECENT_RECORDS: Final = 64
"""Records kept in memory so that sending what was just written needs no read."""


class Recent:
    """The newest records in memory, in front of the store.

    Attributes:
        saved_up_to: the store holds the records up to this id.
    """

    def __init__(self, read: ReadRecord, saved_up_to: int) -> None:
        self._read = read
        self._records: dict[int, Record] = {}
        self.saved_up_to = saved_up_to

    def keep(self, report: Report) -> None:
        """Keep a record that the store holds now."""
        self._records[report.record_id] = report.record
        self.saved_up_to = max(self.saved_up_to, report.record_id)
        if len(self._records) > RECENT_RECORDS:
            del self._records[next(iter(self._records))]

    async def read(self, record_id: int) -> Record | None:
        """Return a record, None when the store has none of this id."""
        record = self._records.pop(record_id, None)
        return record if record is not None else await self._read(record_id)


class CsmsLink:
    """Keeps the link as the station wants it."""

    def __init__(  # noqa: PLR0913  # the composition root hands over each part by name
        self,
        station: Station,
        *,
        profiles: Sequence[DialTarget],
        dialer: Dialer,
        adapters: Callable[[str], Adapter],
        world: World,
        kernel: Inbox,
        requests: Requests,
        read_record: ReadRecord,
        on_wire: WireObserver,
        keystore: Keystore | None = None,
        saved_up_to: int = 0,
    ) -> None:
        self._profiles, self._dialer, self._adapters = profiles, dialer, adapters
        self._world, self._kernel, self._requests = world, kernel, requests
        self._records = Recent(read_record, saved_up_to)
        self._on_wire = on_wire
        self._station = station
        self._keystore = keystore
        self._conversation: Conversation | None = None
        self._unanswered: Sent | None = None
        self._answered: dict[int, set[str]] = {}  # actions that each CSMS has ever answered
        self._changed = asyncio.Event()

    def update(self, station: Station, effects: Sequence[Effect]) -> None:
        """Take the station after a turn, and what of its effects concerns the CSMS."""
        self._station = station
        conversation = self._conversation
        for effect in effects:
            if isinstance(effect, Report):
                self._records.keep(effect)
            elif isinstance(effect, CloseLink) and conversation:
                conversation.close(effect.reason)
            elif isinstance(effect, Message):
                if conversation:
                    conversation.tell(effect)
                elif isinstance(effect, DataTransferSent):
                    self._kernel.post(Conversation.lost(effect))
        if conversation:
            conversation.update(station)
        self._changed.set()

    async def flush(self) -> None:
        """Return once everything that was handed to the link is written to it."""
        if self._conversation:
            await self._conversation.flush()

    async def run(self) -> None:
        """Dial and converse until cancelled."""
        while True:
            profile = await self._wanted()
            dialed = await self._dialed(profile)
            if dialed is not None:
                await self._held(profile, *dialed)

    async def _wanted(self) -> int:
        while True:
            wanted = self._station.connection
            profile = connection.dial(wanted)
            if profile is not None and wanted.is_dialing:
                return profile
            self._changed.clear()
            await self._changed.wait()

    async def _dialed(self, profile: int) -> tuple[Link, DialTarget] | None:
        """Dial once; a link that nobody wants any more when it comes is closed by the core."""
        now = self._world.env().now
        target = credentials.presented(
            self._profiles[profile], profile, self._station, now, self._keystore
        )
        interval = self._ping_interval_s()
        low, high = PING_TIMEOUT_BOUNDS_S
        try:
            link = await self._dialer.dial(
                target,
                ping_interval_s=interval,
                ping_timeout_s=min(max(interval, low), high),
            )
        except DialError as error:
            logger.warning("dial %s: %s", target.url, error)
            failed = DialFailed(profile, error.refusal, str(error), error.retry_after_s)
            await self._told(failed)
            return None
        return link, target

    async def _held(self, profile: int, link: Link, target: DialTarget) -> None:
        adapter = self._adapters(link.subprotocol)
        conversation = Conversation(
            link,
            adapter,
            self._station,
            world=self._world,
            kernel=self._kernel,
            requests=self._requests,
            records=self._records,
            on_wire=self._on_wire,
            unanswered=self._unanswered,
            answered=self._answered.setdefault(profile, set()),
        )
        self._conversation = conversation
        logger.info("connected to %s with %s", link.url, link.subprotocol)
        up = LinkUp(
            profile=profile,
            subprotocol=link.subprotocol,
            url=link.url,
            security_profile=target.security_profile,
            restates_status=adapter.restates_status,
            root=link.root,
            certificate=credentials.shown(target),
        )
        self._kernel.post(up)
        if link.named != link.subprotocol:
            quirk = Quirk.OTHER_SUBPROTOCOL if link.named else Quirk.NO_SUBPROTOCOL
            self._kernel.post(QuirksTolerated((quirk.value,)))
        try:
            reason = await conversation.run()
        except asyncio.CancelledError:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await link.close(1001, "the station goes away")
            raise
        finally:
            self._conversation = None
        self._unanswered = conversation.unanswered
        logger.warning("link to the CSMS lost: %s", reason)
        for message in conversation.unsent:
            self._kernel.post(Conversation.lost(message))
        await self._told(LinkDown(reason))

    async def _told(self, event: Event) -> None:
        """Post an event and wait until the station has taken it, so that no level is stale."""
        ticket = self._kernel.post(event)
        while self._kernel.taken < ticket:
            self._changed.clear()
            await self._changed.wait()

    def _ping_interval_s(self) -> float:
        return float(self._station.settings.integer(variables.PING_INTERVAL))
