"""The list of sessions: what one asks of it in the address, and a page of answers.

Which sessions somebody may see is `queries`' to say; this only narrows that. Nothing
here counts rows, and a page costs the same number of queries however long it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q, QuerySet

from sessions import names, queries
from sessions.faces import Face, faces
from sessions.models import Participant, Recording, Source, State, Tier, VoiceSession

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import AbstractBaseUser

PER_PAGE = 20
FACES = 4
"""Drawn in a row; of more people the number is told."""
LONGEST = 200
STATES: dict[str, tuple[str, ...]] = {
    "live": tuple(queries.ALIVE),
    "finishing": (State.FINISHING,),
    "ready": (State.READY,),
    "failed": (State.FAILED,),
}
SOUND = (Tier.ORIGINAL, Tier.CHUNK, Tier.FRAGMENT, Tier.MASTER)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_PLACE = re.compile(r"(\d{1,17})-(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked for; what was asked wrongly is left out, with a word about it.

    Days are in UTC, and both belong to what is asked for.
    """

    words: str = ""
    source: str = ""
    person: str = ""
    since: date | None = None
    until: date | None = None
    state: str = ""
    language: str = ""
    problems: tuple[str, ...] = ()

    @property
    def is_narrow(self) -> bool:
        """Whether anything but words is asked for."""
        return bool(self.narrowing)

    @property
    def is_any(self) -> bool:
        return self.is_narrow or bool(self.words)

    @property
    def query(self) -> str:
        """As an address has it, without a question mark."""
        return urlencode(({"q": self.words} if self.words else {}) | self.narrowing)

    @property
    def without_words(self) -> str:
        return urlencode(self.narrowing)

    @property
    def narrowing(self) -> dict[str, str]:
        """What is asked for beside words, as an address has it."""
        given = {
            "source": self.source,
            "person": self.person,
            "from": self.since.isoformat() if self.since else "",
            "to": self.until.isoformat() if self.until else "",
            "state": self.state,
            "language": self.language,
        }
        return {name: value for name, value in given.items() if value}


def parse(query: Mapping[str, str]) -> Filters:
    """The filters of an address. Never raises."""
    said: list[str] = []

    def known(name: str, values: Iterable[str]) -> str:
        given = query.get(name, "").strip()
        if given and given not in values:
            said.append(f"There is no {name} “{names.clean(given, longest=20)}”.")
            return ""
        return given

    def day(name: str) -> date | None:
        given = query.get(name, "").strip()
        try:
            return date.fromisoformat(given) if given else None
        except ValueError:
            said.append(f"“{names.clean(given, longest=20)}” is no date.")
            return None

    language = query.get("language", "").strip()
    if language and not _LANGUAGE.fullmatch(language):
        said.append(f"There is no language “{names.clean(language, longest=20)}”.")
        language = ""
    found = Filters(
        words=names.clean(query.get("q", ""), longest=LONGEST),
        source=known("source", Source.values),
        person=names.clean(query.get("person", ""), longest=80),
        since=day("from"),
        until=day("to"),
        state=known("state", STATES),
        language=language,
    )
    if found.since and found.until and found.since > found.until:
        said.append("The first day comes after the last one: they were exchanged.")
        found = replace(found, since=found.until, until=found.since)
    return replace(found, problems=tuple(said))


def narrowed(rows: QuerySet[VoiceSession], filters: Filters) -> QuerySet[VoiceSession]:
    """Those of the rows that are asked for, whatever was said in them."""
    if filters.source:
        rows = rows.filter(source=filters.source)
    if filters.state:
        rows = rows.filter(state__in=STATES[filters.state])
    if filters.since:
        rows = rows.filter(created_at__gte=_midnight(filters.since))
    if filters.until and filters.until < date.max:
        rows = rows.filter(created_at__lt=_midnight(filters.until + timedelta(1)))
    if filters.person:
        rows = rows.filter(pk__in=_with(name__icontains=filters.person))
    if filters.language:
        heard = Q(pk__in=_with(language=filters.language))
        rows = rows.filter(Q(language=filters.language) | heard)
    return rows


def searched(user: AbstractBaseUser, filters: Filters) -> QuerySet[VoiceSession] | None:
    """The sessions in which words are looked for; None stands for all there are."""
    if not filters.is_narrow:
        return queries.searchable_by(user)
    return narrowed(queries.visible_to(user), filters)


def _with(**of_participant: str) -> QuerySet[Participant, int]:
    people = Participant.objects.filter(**of_participant).order_by()
    return people.values_list("session_id", flat=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the list shows it."""

    session: VoiceSession
    state: str
    people: tuple[Face, ...]
    more_people: int
    language: str
    lasted: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first; `following` is the place where the next page begins."""

    rows: tuple[Row, ...]
    following: str = ""
    is_first: bool = True


def page(user: AbstractBaseUser, filters: Filters, *, before: str = "") -> Page:
    """What somebody may see of what they ask for, from a place on."""
    rows = narrowed(queries.visible_to(user), filters)
    if filters.words:
        rows = rows.filter(title__icontains=filters.words)
    place = _place(before)
    if place is not None:
        at, pk = place
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=pk))
        rows = rows.filter(created_at__lte=at)  # so that an index finds the place
    found = list(rows.order_by("-created_at", "-pk")[: PER_PAGE + 1])
    shown = found[:PER_PAGE]
    following = _name(shown[-1]) if len(found) > PER_PAGE else ""
    return Page(_drawn(shown), following, is_first=place is None)


def _name(session: VoiceSession) -> str:
    micros = (session.created_at - EPOCH) // timedelta(microseconds=1)
    return f"{micros}-{session.pk}"


def _place(given: str) -> tuple[datetime, int] | None:
    """A page's beginning, as the page before told it; anything else is the first."""
    parts = _PLACE.fullmatch(given) if given.isascii() else None
    if parts is None:
        return None
    try:
        return EPOCH + timedelta(microseconds=int(parts[1])), int(parts[2])
    except OverflowError:
        return None


def _drawn(sessions: list[VoiceSession]) -> tuple[Row, ...]:
    ids = [session.pk for session in sessions]
    people, kept = _people(ids), _kept(ids)
    return tuple(_row(one, people[one.pk], is_kept=one.pk in kept) for one in sessions)


def _people(ids: list[int]) -> dict[int, list[tuple[str, str]]]:
    """Names and languages, in the order in which they came."""
    rows = Participant.objects.filter(session__in=ids).order_by("joined_at", "pk")
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for session_id, name, language in rows.values_list(
        "session_id", "name", "language"
    ):
        found[session_id].append((name, language))
    return found


def _kept(ids: list[int]) -> set[int]:
    """The sessions that have sound on disk or in storage."""
    sound = Recording.objects.filter(session=OuterRef("pk"), tier__in=SOUND)
    rows = VoiceSession.objects.filter(Exists(sound), pk__in=ids).order_by()
    return set(rows.values_list("pk", flat=True))


def _row(session: VoiceSession, people: list[tuple[str, str]], *, is_kept: bool) -> Row:
    drawn = faces(name for name, _ in people)
    spoken = dict.fromkeys([session.language, *(code for _, code in people)])
    return Row(
        session=session,
        state=shown_state(session),
        people=drawn[:FACES],
        more_people=max(len(drawn) - FACES, 0),
        language=", ".join([code for code in spoken if code][:3]),
        lasted=_lasted(session),
        is_kept=is_kept,
    )


def shown_state(session: VoiceSession) -> str:
    """The state people see: one that was asked to stop is finishing."""
    if session.state == State.ACTIVE and not session.is_open:
        return State.FINISHING
    return session.state


def _lasted(session: VoiceSession) -> str:
    """Nothing of one that goes on: the list stands still, its card counts."""
    if session.started_at is None or session.ended_at is None:
        return ""
    return lasted(session.ended_at - session.started_at)


def lasted(time_: timedelta) -> str:
    """For people: "40 s", "12 min", "1 h 05 min"."""
    seconds = max(round(time_.total_seconds()), 0)
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"
