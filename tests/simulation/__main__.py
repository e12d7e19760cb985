"""``python -m tests.simulation --days 30 [--site-days 30] [--seed N]``: lives from one seed.

One station with one or two EVSEs and everything that goes wrong with bills; and a site of eight
EVSEs whose currents are looked at every second: about a minute per day.
"""

import argparse
import logging
import random
import sys
import traceback

from tests.simulation.life import Life, LifeError
from tests.simulation.site import SiteLife


def main() -> int:
    """Live a life; return 0 when every promise was kept."""
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="virtual days (default 30)")
    parser.add_argument(
        "--site-days", type=float, default=30.0, help="of the site (default 30)"
    )
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one)")
    args = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    logging.disable()  # a life is full of what an agent warns of
    print(f"simulation: seed {seed}", flush=True)
    try:
        figures = Life(seed).live(args.days, lambda text: print(text, flush=True))
    except LifeError as error:
        traceback.print_exception(error)
        print("the last events:", *error.events, sep="\n")
        print(f"simulation: failed; repeat with --days {args.days} --seed {seed}")
        return 1
    print(f"simulation: {figures}: every promise was kept", flush=True)
    if args.site_days:
        print(f"site: {SiteLife(seed).live(args.site_days)}: no limit was exceeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
