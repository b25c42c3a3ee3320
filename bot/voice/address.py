"""Addresses of servers, as settings name them."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_http(url: str) -> bool:
    """Whether it is an address of http or https, with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
