"""Firmware on the build machine: `pilotwire-firmware`. None of it runs on a charger."""
