"""What the bench CSMS asks of a station, in the words of the version that it speaks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from agent.bench.desk import Asked, Payload, ProfileWish, SettingError, Wish
from agent.bench.ledger import Ledger
from agent.bench.script import Refusal, Verdict
from agent.bench.session import CsmsError, Session
from agent.ocpp.wire_time import to_text

ANSWER_TIMEOUT_S: Final = 30.0
"""How long a station may take to answer a request."""


class Asking(ABC):
    """The requests of a CSMS; what is beneath them is `agent.bench.csms.Csms`.

    Attributes:
        ledger: what the stations told.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._ids = 0

    @abstractmethod
    async def request(
        self,
        identity: str,
        action: str,
        payload: Payload,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Payload | Refusal:
        """Send any request, as it is, and return the station's answer."""

    @property
    @abstractmethod
    def now_s(self) -> float:
        """Return the time that it tells, UTC seconds since 1970."""

    @abstractmethod
    def _session(self, identity: str) -> Session:
        """Return the present link of a station."""

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    async def remote_start(self, identity: str, token: str, evse_id: int = 1) -> str:
        """Ask for a transaction; return the station's status, or the code of its refusal.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        asked = clerk.remote_start(token, evse_id, self._next_id())
        return await self._status(identity, asked)

    async def remote_stop(self, identity: str) -> str:
        """Ask to stop the latest open transaction; return as `remote_start` does.

        Raises:
            CsmsError: no transaction is open; see `request`.
        """
        clerk = self._session(identity).clerk
        entries = self.ledger.station(identity).open_transactions
        if not entries:
            raise CsmsError(f"{identity} has no open transaction")
        return await self._status(identity, clerk.remote_stop(entries[-1]))

    async def reset(self, identity: str, *, hard: bool) -> str:
        """Ask to restart; soft: 1.6 Soft, 2.0.1 OnIdle. Return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        return await self._status(identity, self._session(identity).clerk.reset(hard=hard))

    async def send_list(
        self,
        identity: str,
        version: int,
        entries: Mapping[str, Verdict | None],
        *,
        full: bool = False,
    ) -> str:
        """Replace or change the local list; return as `remote_start` does.

        Args:
            entries: by token; None removes it.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        return await self._status(identity, clerk.send_list(version, entries, full=full))

    async def list_version(self, identity: str) -> int:
        """Return the version of the station's local list, as it tells it.

        Raises:
            CsmsError: the station refuses; see `request`.
        """
        clerk = self._session(identity).clerk
        asked = clerk.list_version()
        answer = await self.request(identity, asked.action, asked.payload)
        if isinstance(answer, Refusal):
            raise CsmsError(f"{asked.action}: {answer.code}")
        return clerk.list_version_of(answer)

    async def reserve(
        self,
        identity: str,
        reservation_id: int,
        token: str,
        *,
        for_s: float = 3600.0,
        evse_id: int | None = None,
        group: str | None = None,
    ) -> str:
        """Keep an EVSE free from now on, None: any; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        expires_at = to_text(self.now_s + for_s)
        wish = Wish(reservation_id, token, expires_at, evse_id, group)
        return await self._status(identity, self._session(identity).clerk.reserve(wish))

    async def cancel_reservation(self, identity: str, reservation_id: int) -> str:
        """End a reservation; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        asked = Asked("CancelReservation", {"reservationId": reservation_id})
        return await self._status(identity, asked)

    async def unlock(self, identity: str, evse_id: int = 1) -> str:
        """Ask to release a plug; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        return await self._status(identity, self._session(identity).clerk.unlock(evse_id))

    async def trigger(self, identity: str, message: str, evse_id: int | None = None) -> str:
        """Ask to be told a message now; return as `remote_start` does.

        Args:
            message: the version's word, such as "MeterValues".
            evse_id: None: of every EVSE.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        return await self._status(identity, clerk.trigger(message, evse_id))

    async def set_limit(self, identity: str, limit_a: float) -> str:
        """Limit all charging by a default profile; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        wish = ProfileWish(1, "default", 0, ((0, limit_a),))
        return await self.set_profile(identity, wish)

    async def set_profile(self, identity: str, wish: ProfileWish) -> str:
        """Install a charging profile; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        return await self._status(identity, self._session(identity).clerk.profile(wish))

    async def clear_profiles(self, identity: str, profile_id: int | None = None) -> str:
        """Remove a charging profile, None: all of them; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        return await self._status(identity, clerk.clear_profiles(profile_id))

    async def composite(
        self, identity: str, duration_s: int, *, evse_id: int = 1, unit: str = "A"
    ) -> tuple[tuple[int, float], ...]:
        """Return the limits of an EVSE from now on, 0: of the station; none when refused.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        asked = clerk.composite(evse_id, duration_s, unit)
        answer = await self.request(identity, asked.action, asked.payload)
        return () if isinstance(answer, Refusal) else clerk.composite_of(answer)

    async def get_setting(self, identity: str, name: str) -> str:
        """Return a setting, by its 1.6 key or as `Component.Variable[instance]`.

        Raises:
            SettingError: the station does not tell it.
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        asked = clerk.get_setting(name)
        answer = await self.request(identity, asked.action, asked.payload)
        if isinstance(answer, Refusal):
            raise SettingError(name, answer.code)
        return clerk.setting_of(name, answer)

    async def set_setting(self, identity: str, name: str, value: str) -> str:
        """Write a setting, named as in `get_setting`; return as `remote_start` does.

        Raises:
            CsmsError: see `request`.
        """
        clerk = self._session(identity).clerk
        asked = clerk.set_setting(name, value)
        answer = await self.request(identity, asked.action, asked.payload)
        return answer.code if isinstance(answer, Refusal) else clerk.setting_status(answer)

    async def _status(self, identity: str, asked: Asked) -> str:
        answer = await self.request(identity, asked.action, asked.payload)
        return answer.code if isinstance(answer, Refusal) else str(answer.get("status", ""))
