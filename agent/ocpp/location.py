"""Places of files on the wire, as people write them."""

from agent.ocppj.quirks import Quirk, noted


def mended(location: str) -> str:
    """Return a URL, forgotten blanks encoded (1.6 reference 11, quirk 51)."""
    found = location.strip(" ").replace(" ", "%20")
    if found != location:
        noted(Quirk.BLANK_IN_ADDRESS)
    return found
