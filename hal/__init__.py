"""The hardware layer: contract, buses, drivers and their simulators."""
