"""Firmware images: what proves them, what they say of themselves, how they are installed."""
