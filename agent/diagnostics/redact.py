"""Takes secrets out of text: those that are known, and what looks like one.

A bundle leaves the station, is mailed and lies on desks. Id tokens keep their last four
characters, so that two of them can be told apart and none can be used.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote

from agent.core.orders import LOGIN_OF_URL

HIDDEN: Final = "***"
SHORTEST_SECRET: Final = 4
"""A shorter text is no secret, and hiding it would hide half of every line."""

_OF_QUERIES = "sig|signature|token|key|secret|password|passwd|credential"
_OF_TOKENS = "idTag|parentIdTag|idToken|id_token|groupIdToken|group|authorized"
_OF_SECRETS = "password|passwd|authorizationKey|AuthorizationKey|BasicAuthPassword|secret"

_PATTERNS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        lambda _: "-----PRIVATE KEY " + HIDDEN,
    ),
    (
        re.compile(
            r"(?i)(\b(?:proxy-)?authorization\b\"?\s*[:=]\s*\"?(?:basic|bearer)\s+)[^\s\",]+"
        ),
        lambda match: match[1] + HIDDEN,
    ),
    (LOGIN_OF_URL, lambda match: f"{match[1]}{HIDDEN}@"),
    (
        re.compile(rf"(?i)([?&][a-z0-9_.-]*(?:{_OF_QUERIES})=)[^&\s\"'\\]+"),
        lambda match: match[1] + HIDDEN,
    ),
    (
        re.compile(
            rf"(\\?\"(?:{_OF_SECRETS})\\?\"\s*:\s*\\?\")((?:[^\"\\\n]|\\.)*?)(\\?\"|$)",
            re.MULTILINE,
        ),
        lambda match: match[1] + HIDDEN + match[3],
    ),
    (
        re.compile(rf"(?i)\b({_OF_SECRETS})(\s*=\s*)[^\s,;]+"),
        lambda match: match[1] + match[2] + HIDDEN,
    ),
    (
        re.compile(
            rf"(\\?\"(?:{_OF_TOKENS})\\?\"\s*:\s*\\?\")([^\"\\\n]*)(\\?\"|$)", re.MULTILINE
        ),
        lambda match: match[1] + shortened(match[2]) + match[3],
    ),
    (
        re.compile(rf"\b({_OF_TOKENS})=(['\"]?)([^\s,'\")]+)"),
        lambda match: f"{match[1]}={match[2]}{shortened(match[3])}",
    ),
)


def shortened(token: str) -> str:
    """Return an id token of which nobody can make use."""
    return f"{HIDDEN}{token[-4:]}" if len(token) > 2 * SHORTEST_SECRET else HIDDEN


class Redactor:
    """Hides the secrets of one station."""

    def __init__(self, secrets: Iterable[str]) -> None:
        long = (secret for secret in secrets if len(secret) >= SHORTEST_SECRET)
        forms = {form for secret in long for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)  # the longer one may hold the shorter
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _forms(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, within JSON, and within a URL."""
    return secret, json.dumps(secret)[1:-1], quote(secret, safe="")
