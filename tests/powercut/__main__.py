"""``python -m tests.powercut --rounds 50``: the real process, killed at random moments."""

import argparse
import asyncio
import random
import sys

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
    parser.add_argument("--ocpp", choices=PROTOCOLS, default="both", help="versions spoken")
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    print(f"powercut: seed {seed}", flush=True)
    result = asyncio.run(killed(args.rounds, seed, PROTOCOLS[args.ocpp], print))
    print(result)
    if result.problems:
        print(f"powercut: repeat with --seed {seed}")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
