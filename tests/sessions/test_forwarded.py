"""Where somebody comes from, our own proxies say, and nobody else."""

from __future__ import annotations

import io

import pytest
from clients import Client, in_db, live
from django.core.handlers.asgi import ASGIRequest
from pytest_django.fixtures import Settings
from scene import an_open_session

from sessions import audit
from sessions.models import AuditEntry

PEER, VISITOR, FORGED = "10.0.0.1", "203.0.113.9", "8.8.8.8"
CASES = [
    (0, [FORGED], PEER),
    (0, [FORGED, FORGED], PEER),
    (1, [VISITOR], VISITOR),
    (1, [f"{FORGED}, {VISITOR}"], VISITOR),
    (1, [FORGED, VISITOR], VISITOR),
    (1, [f"{FORGED},{FORGED}", f"{FORGED} , {VISITOR}"], VISITOR),
    (1, [f"{FORGED}, {VISITOR}", ""], VISITOR),
    (2, [f"{FORGED}, {VISITOR}, 10.0.0.2"], VISITOR),
    (2, [f"{FORGED}, {VISITOR}", "10.0.0.2"], VISITOR),
    (2, [FORGED, VISITOR, "10.0.0.2"], VISITOR),
]
each = pytest.mark.parametrize(("proxies", "lines", "known"), CASES)


def as_headers(lines: list[str]) -> list[tuple[bytes, bytes]]:
    return [(b"x-forwarded-for", line.encode()) for line in lines]


@each
def test_of_a_request(
    settings: Settings, proxies: int, lines: list[str], known: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": as_headers(lines),
        "client": [PEER, 4711],
    }
    assert audit.address_of(ASGIRequest(scope, io.BytesIO())) == known


@each
@pytest.mark.django_db(transaction=True)
async def test_of_a_websocket(
    settings: Settings, proxies: int, lines: list[str], known: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    client = Client(live(await in_db(an_open_session)()), headers=as_headers(lines))
    client.scope["client"] = [PEER, 4711]
    async with client:
        await client.hears()
    row = await AuditEntry.objects.aget()
    assert (row.address, row.who) == (known, f"link:{known}")
