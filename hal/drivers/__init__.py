"""Drivers for real devices."""
