"""`python -m agent`: the command `pilotwire`, also where it is not installed."""

import sys

from agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
