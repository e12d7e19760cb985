"""Run a simulated board as its own process: `python -m hal.sim BOARD.toml --socket PATH …`."""

import sys

from hal.sim.process import main

sys.exit(main(sys.argv[1:]))
