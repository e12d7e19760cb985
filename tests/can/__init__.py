"""CAN lines and power modules on the kernel's own SocketCAN (`make can`)."""
