"""Updaters of the field, for real: in a booted systemd container (`make updaters`)."""
