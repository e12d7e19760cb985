"""`python -m firmware_tools` is `pilotwire-firmware`."""

import sys

from firmware_tools.cli import main

if __name__ == "__main__":
    sys.exit(main())
