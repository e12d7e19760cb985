"""What devices say, byte for byte, without any I/O: drivers and simulators share it."""
