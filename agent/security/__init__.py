"""Keys, certificates and the security log: what the station guards on its disk."""
