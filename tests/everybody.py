"""Everybody who may come to an address, what there is to see, and every address there
is. `tests/voiceproject/test_permissions.py` says what each of them is answered."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from ninja import NinjaAPI
from scene import a_moderator, a_user, on_discord

from bot.models import Call
from sessions import access, bookmarks, guilds, shares
from sessions.bookmarks import Author
from sessions.models import Recording, State, VoiceSession, Waveform
from transcripts.models import Utterance, UtteranceState
from voiceproject.api import api

WHO = (
    "anonymous",
    "stranger",
    "participant",
    "manager",
    "moderator",
    "admin",
    "owner",
    "link",
)
"""In the order of the table's columns."""

Cell = int | str
"""A status; with what follows it: `302 /login` (where to), `404 not_recorded` (its
code)."""
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\{(?:\w+:)?(\w+)\}")


@dataclass(frozen=True, slots=True)
class Line:
    """What everybody is answered at one address, and what is sent there."""

    cells: tuple[Cell, ...]
    body: dict[str, Any] | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def line(*cells: Cell, body: dict[str, Any] | None = None, **parameters: str) -> Line:
    """One cell for each of WHO, or one for all of them."""
    whole = cells * len(WHO) if len(cells) == 1 else cells
    assert len(whole) == len(WHO), f"{len(whole)} cells for {', '.join(WHO)}"
    return Line(whole, body, parameters)


class World:
    """One running call of a Discord server, and all the people."""

    def __init__(self) -> None:
        self.people: dict[str, User | None] = dict.fromkeys(WHO)
        self.people |= {
            "stranger": a_user("stranger"),
            "participant": on_discord(a_user("participant"), "500"),
            "manager": on_discord(a_user("manager"), "600"),
            "moderator": a_moderator("moderator"),
            "admin": User.objects.create_superuser("admin"),
            "owner": a_user("owner"),
        }
        guilds.remember("600", ["77"])
        guilds.remember("500", ["78"])
        self.session = VoiceSession.objects.create(
            source="discord",
            guild_id="77",
            state=State.ACTIVE,
            started_at=timezone.now(),
            owner=self.people["owner"],
        )
        eve = self.session.participants.create(key="discord:500", name="Eve")
        chunk = Recording.objects.create(
            session=self.session, participant=eve, tier="chunk", key="c"
        )
        Waveform.objects.create(recording=chunk, peaks=b"\0\1")
        bob = self.session.participants.create(key="discord:501", name="Bob")
        spoken = Utterance.objects.create(
            session=self.session,
            participant=eve,
            start=0,
            end=48_000,
            audio_start=0,
            state=UtteranceState.DONE,
            text="good morning",
        )
        owner = self.people["owner"]
        assert owner is not None
        mark = bookmarks.take(self.session, "here", by=Author("owner", owner))
        shared = shares.share(self.session, days=1, by=owner)
        self.call = Call.objects.create(
            uuid=uuid.uuid4(), session=self.session, registered_by=self.people["owner"]
        )
        self._clients: dict[str, Client] = {}
        # What the addresses' parameters stand for; a line may say otherwise.
        self.parameters: dict[str, str] = {
            "public_id": str(self.session.public_id),
            "recording": str(chunk.pk),
            "bookmark": str(mark.public_id),
            "share_id": str(shared.public_id),
            "utterance": str(spoken.public_id),
            "other": str(bob.public_id),
            "participant": str(eve.public_id),
            "uuid": str(self.call.uuid),
            "token": "forged",
            "suffix": "json",
        }

    def asks(self, who: str, address: str, what: Line) -> Any:
        """This person's request, and what they are answered."""
        method, _, path = address.partition(" ")
        path = self._filled(path, self.parameters | what.parameters)
        if who == "link":
            path += f"?token={access.token_of(self.session)}"
        kind = "application/json" if what.body is not None else ""
        data = json.dumps(what.body) if what.body is not None else ""
        data = self._filled(data, self.parameters)
        return self.client_of(who).generic(method, path, data, kind)

    def client_of(self, who: str) -> Client:
        """Their browser: signed in, if they can be."""
        if who not in self._clients:
            self._clients[who] = Client(headers={"host": "localhost"})
            self._clients[who].raise_request_exception = False
            if (person := self.people[who]) is not None:
                self._clients[who].force_login(person)
        return self._clients[who]

    def _filled(self, path: str, known: dict[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            assert name in known, f"say in World.parameters what {name} is"
            return known[name]

        return PARAMETER.sub(value, path)


def told(answer: HttpResponse, expected: Cell) -> Cell:
    """The answer as the table says it: as much of it as `expected` does."""
    if isinstance(expected, int):
        return answer.status_code
    if "Location" in answer.headers:
        where = answer.headers["Location"].partition("?")[0]
        return f"{answer.status_code} {where[: len(expected.partition(' ')[2])]}"
    found = json.loads(answer.content).get("code") if answer.status_code > 399 else ""
    return f"{answer.status_code} {found}"


def pages() -> set[str]:
    """The path of every address of Django's, without the API's and the admin's."""
    return {path for path, pattern in _walked("admin", "api")}


def operations() -> set[str]:
    """Method and path of every operation of the API."""
    found = set()
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                whole = re.sub("/+", "/", f"/api/{prefix}/{path}").rstrip("/")
                found |= {f"{method} {_plain(whole)}" for method in operation.methods}
    return found


def manuals() -> set[str]:
    """The API's addresses that are no operations: what describes it."""
    operated = {address.partition(" ")[2] for address in operations()}
    assert isinstance(api, NinjaAPI)
    every = {path for path, pattern in _walked("admin") if path.startswith("/api/")}
    return {path for path in every if path.rstrip("/") not in operated}


def administration() -> list[tuple[str, str]]:
    """Path and name of every address of the admin, as it generated them."""
    return [
        (path, str(pattern.name))
        for path, pattern in _walked()
        if path.startswith("/admin/")
    ]


def sockets(patterns: list[URLPattern]) -> set[str]:
    return {f"WS /{_plain(str(one.pattern))}" for one in patterns}


def _walked(*without: str) -> Iterator[tuple[str, URLPattern]]:
    yield from _below(get_resolver().url_patterns, "/", without)


def _below(
    patterns: list[URLPattern | URLResolver], prefix: str, without: tuple[str, ...]
) -> Iterator[tuple[str, URLPattern]]:
    for one in patterns:
        path = f"{prefix}{_plain(str(one.pattern))}"
        if isinstance(one, URLPattern):
            yield path, one
        elif one.namespace not in without:
            yield from _below(one.url_patterns, path, without)


def _plain(route: str) -> str:
    """A route with its parameters as `{name}`."""
    return PARAMETER.sub(lambda found: f"{{{found[1] or found[2]}}}", route)
