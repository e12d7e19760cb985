"""``python -m tests.powercut``: the real process killed, and every scenario cut.

First the real process is killed at random moments of real sessions (`--rounds`), then every
scenario is cut at its boundaries between two effects, in virtual time (`--cuts` of each).
"""

import argparse
import asyncio
import random
import sys
from functools import partial

from tests.powercut.everywhere import sweep
from tests.powercut.rig import killed

PROTOCOLS = {
    "1.6": ("ocpp1.6",),
    "2.0.1": ("ocpp2.0.1",),
    "both": ("ocpp2.0.1", "ocpp1.6"),
}


def main() -> int:
    """Run the rig; return 0 when the books agree."""
    parser = argparse.ArgumentParser(prog="tests.powercut", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="kills (default 50)")
    parser.add_argument(
        "--cuts", type=int, default=0, help="most cuts of each scenario (default 0: no sweep)"
    )
    parser.add_argument("--only", default="", help="sweep scenarios with this in their names")
    parser.add_argument("--ocpp", choices=PROTOCOLS, default="both", help="versions spoken")
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    print(f"powercut: seed {seed}", flush=True)
    problems: list[str] = []
    if args.rounds:
        result = asyncio.run(killed(args.rounds, seed, PROTOCOLS[args.ocpp], print))
        print(result, flush=True)
        problems += result.problems
    if args.cuts:
        problems += sweep(args.cuts, seed, args.only, partial(print, flush=True))
    if problems:
        print(f"powercut: repeat with --seed {seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
