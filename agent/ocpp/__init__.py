"""Pure translators between OCPP payloads and the domain."""
