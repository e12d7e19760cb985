"""OCPP-J framing and RPC without I/O."""
