"""Simulated hardware that speaks the same wires."""
