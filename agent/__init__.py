"""pilotwire: the firmware agent that runs inside an EV charger."""

__version__ = "0.1.0"
