"""Transports: one owner per port."""
