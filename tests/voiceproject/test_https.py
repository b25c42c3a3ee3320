"""Behind a proxy with a certificate, browsers are told to come back by https."""

from __future__ import annotations

import urllib.request
from email.message import Message

import pytest
from stack import Stack

pytestmark = pytest.mark.stack

HSTS = "Strict-Transport-Security"
PUBLIC = {"PUBLIC_URL": "https://parley.example.org", "HSTS_S": "31536000"}


def answered(stack: Stack, **headers: str) -> Message:
    """The head of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{stack.url}/login", headers=named)
    with urllib.request.urlopen(request, timeout=10) as answer:
        head: Message = answer.headers
        return head


def test_who_came_by_https_is_to_come_so_again() -> None:
    with Stack(programs=("web",), TRUSTED_PROXIES="1", **PUBLIC) as stack:
        head = answered(stack, X_Forwarded_Proto="https")
        assert head[HSTS] == "max-age=31536000"
        cookies = head.get_all("Set-Cookie", [])
        assert cookies
        assert all("; Secure" in cookie for cookie in cookies)
        assert HSTS not in answered(stack, X_Forwarded_Proto="http")
        assert HSTS not in answered(stack)


def test_where_no_proxy_stands_anybody_may_have_written_that() -> None:
    with Stack(programs=("web",), **PUBLIC) as stack:
        assert HSTS not in answered(stack, X_Forwarded_Proto="https")
