"""Cards of the sessions that are live: what the dashboard shows of each.

Reads only. What is stored comes from the tables; what passes (levels, grey words) from
the live cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import OuterRef, QuerySet, Subquery

from sessions import flashes, queries
from sessions.faces import faces
from sessions.models import Participant, SessionEvent, State, VoiceSession

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

MOST = 24
"""Cards on one board; of the rest the number is told."""
PEOPLE = 6


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a microphone in a session; `key` is the database's."""

    id: str
    key: int
    name: str
    initials: str
    slot: int


@dataclass(frozen=True, slots=True)
class Line:
    """What was said last."""

    id: str
    name: str
    slot: int
    text: str
    end_ms: int


@dataclass(frozen=True, slots=True)
class Card:
    """One live session; `people` are those who are here, as many as are drawn."""

    id: str
    title: str
    source: str
    started_at: str
    record: bool
    is_ending: bool
    people: tuple[Person, ...]
    more_people: int
    line: Line | None

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        for person in shown["people"]:
            del person["key"]
        return shown


@dataclass(frozen=True, slots=True)
class Shown:
    """The sessions on somebody's board, newest first, and how many more there are."""

    ids: tuple[int, ...] = ()
    more: int = 0


def live() -> QuerySet[VoiceSession]:
    """What is live, newest first."""
    rows = VoiceSession.objects.filter(state=State.ACTIVE)
    return rows.order_by("-started_at", "-pk")


def heads() -> dict[int, tuple[int, bool]]:
    """Of each live session the newest event's number, and whether it is ending."""
    rows = live().order_by().values_list("pk", "last_seq", "stop_requested_at")
    return {pk: (seq, stop is not None) for pk, seq, stop in rows}


def shown_to(user: AbstractBaseUser) -> Shown:
    """What is on this person's board."""
    rows = queries.visible_to(user).filter(state=State.ACTIVE)
    found = list(
        rows.order_by("-started_at", "-pk").values_list("pk", flat=True)[: MOST + 1]
    )
    more = rows.count() - MOST if len(found) > MOST else 0
    return Shown(tuple(found[:MOST]), more)


def cards(ids: Iterable[int]) -> dict[int, Card]:
    """A card of each of these sessions that is live: three queries, however many."""
    newest = SessionEvent.objects.filter(session=OuterRef("pk"), type="utterance")
    last = Subquery(newest.order_by("-seq").values("pk")[:1])
    rows = list(live().filter(pk__in=list(ids)).annotate(last_said=last))
    said = SessionEvent.objects.in_bulk([row.last_said for row in rows])
    people = _people(row.pk for row in rows)
    return {row.pk: _card(row, people[row.pk], said.get(row.last_said)) for row in rows}


def _people(ids: Iterable[int]) -> dict[int, list[Participant]]:
    found: dict[int, list[Participant]] = defaultdict(list)
    rows = Participant.objects.filter(session__in=list(ids))
    for person in rows.order_by("joined_at", "pk"):
        found[person.session_id].append(person)
    return found


def _card(
    row: VoiceSession, people: list[Participant], said: SessionEvent | None
) -> Card:
    drawn = {face.name: face for face in faces(person.name for person in people)}
    here = [person for person in people if person.is_present]
    return Card(
        id=str(row.public_id),
        title=row.title,
        source=row.source,
        started_at=row.started_at.isoformat() if row.started_at else "",
        record=row.record,
        is_ending=not row.is_open,
        people=tuple(
            Person(
                id=str(person.public_id),
                key=person.pk,
                name=person.name,
                initials=drawn[person.name].initials,
                slot=drawn[person.name].slot,
            )
            for person in here[:PEOPLE]
        ),
        more_people=max(len(here) - PEOPLE, 0),
        line=_line(said, {name: face.slot for name, face in drawn.items()}),
    )


def _line(said: SessionEvent | None, slots: dict[str, int]) -> Line | None:
    if said is None:
        return None
    data = said.data
    name = str(data.get("name", ""))
    return Line(
        id=str(data.get("id", "")),
        name=name,
        slot=slots.get(name, 0),
        text=str(data.get("text", "")),
        end_ms=int(data.get("end_ms", 0)),
    )


def passing(session_id: int, card: Card) -> dict[str, Any]:
    """What is true of a session for this moment: levels in dBFS by person, and the
    words somebody is saying."""
    keys = ["levels", *(f"partial:{person.key}" for person in card.people)]
    found = flashes.current(session_id, keys)
    levels = found.pop("levels", None)
    spoken = [event.data for event in found.values() if _is_news(event.data, card)]
    newest = max(spoken, key=lambda data: int(data.get("end_ms", 0)), default=None)
    return {
        "levels": levels.data.get("levels", {}) if levels else {},
        "saying": _saying(newest),
    }


def _is_news(partial: dict[str, Any], card: Card) -> bool:
    """Not once the words are final; nor while newer ones are."""
    line = card.line
    return line is None or (
        partial.get("id") != line.id and int(partial.get("end_ms", 0)) > line.end_ms
    )


def _saying(partial: dict[str, Any] | None) -> dict[str, str] | None:
    if partial is None:
        return None
    fields = ("id", "participant", "name", "text")
    return {field: str(partial.get(field, "")) for field in fields}
