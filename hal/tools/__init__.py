"""Bring-up tools: what a technician does at the device, before there is a station."""
