"""Texts without the tokens and instances of accounts."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
SECRETS = re.compile(
    r"crn:[^\s'\"]+|(?i:bearer)\s+\S+|(?i:(?:api_?key|token|password|secret)['\"]?\s*[=:]\s*)\S+"
)


def without_secrets(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text in which tokens and instances of an account are hidden."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return SECRETS.sub(HIDDEN, text)
