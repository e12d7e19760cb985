"""The rules of charging with direct current, without any I/O."""
