"""A child process: the bare charge point that mobilityhouse/ocpp makes of its examples.

    python -m tests.benchmarks.peer URL [boot]

It imports both versions, connects with 1.6, and with `boot` introduces itself. Its only
handler refuses every charging profile. It keeps nothing, meters nothing and drives nothing.
"""

import asyncio
import sys

import ocpp.v201
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.client import connect

BOTH_VERSIONS = (ocpp.v201.ChargePoint, ChargePoint)


class Peer(ChargePoint):
    """The charge point."""

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id, cs_charging_profiles):
        return call_result.SetChargingProfile(status="Rejected")


async def main(url: str, *, boots: bool) -> None:
    async with connect(url, subprotocols=["ocpp1.6"]) as connection:
        peer = Peer("PEER", connection)
        async with asyncio.TaskGroup() as group:
            group.create_task(peer.start())
            if boots:
                boot = call.BootNotification(
                    charge_point_vendor="Example", charge_point_model="Wallbox One"
                )
                group.create_task(peer.call(boot))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], boots="boot" in sys.argv[2:]))
