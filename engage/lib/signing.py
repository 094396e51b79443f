"""Unguessable tokens. The database keeps a keyed digest only, so a stolen copy opens nothing."""

import hmac
import secrets

from django.conf import settings


def new_token() -> str:
    """256 random bits, safe in a URL (43 characters)."""
    return secrets.token_urlsafe(32)


def digest(token: str, purpose: str) -> str:
    """The 64 hexadecimal characters stored for a token; `purpose` keeps one kind from opening another."""
    key = f"{settings.SECRET_KEY}:{purpose}".encode()
    return hmac.digest(key, token.encode("utf-8", "surrogatepass"), "sha256").hex()
