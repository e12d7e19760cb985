"""Whom a transfer over TLS trusts."""

import ssl


def trusting(roots: tuple[str, ...]) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and some more."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for root in roots:
        context.load_verify_locations(root)
    return context
