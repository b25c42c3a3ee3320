"""Search over everything that was said, newest first, by the database's own means.

Which sessions somebody may see is the caller's to say. `searchindex` keeps the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet

from sessions.audio.frames import SAMPLES_PER_MS
from sessions.models import State, VoiceSession
from transcripts.models import Utterance
from transcripts.searchindex import CONFIGS, SIMPLE
from transcripts.terms import Term, terms

FEW = 400
"""So many sessions are named to the index; of more, hits are looked at one by one, and
there are enough of them."""
NAMED = 1000
"""The same of PostgreSQL."""
SAMPLE, LATEST = 2_000, 20_000
"""So many of the latest lines are looked through for a word before the index is asked
for all that there ever were of it: as many as tell how frequent it is, and if it is,
these."""
BEGIN, END = "\x02", "\x03"
"""Around what was found: signs that nobody says."""
HEADLINE = f'StartSel="{BEGIN}", StopSel="{END}", HighlightAll=true'
WORDS, WORDS_BEFORE = 24, 8
"""Of a snippet, and of what is shown before the first that was found."""

Snippet = tuple[tuple[str, bool], ...]
"""Pieces of text; True: that is what was found."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line in which it was said."""

    number: int
    """For `before`: the hits that follow."""
    id: UUID
    session: UUID
    title: str
    source: str
    started_at: datetime | None
    speaker: str
    start_ms: int
    snippet: Snippet

    @property
    def said_at(self) -> datetime | None:
        """By the clock; None of a session that never began."""
        after = timedelta(milliseconds=self.start_ms)
        return self.started_at + after if self.started_at else None


def search(
    query: str,
    *,
    sessions: QuerySet[VoiceSession] | None = None,
    before: int | None = None,
    most: int = 20,
) -> list[Hit]:
    """The newest lines that hold every term, in these sessions (None: in all)."""
    wanted = terms(query)
    if not wanted:
        return []
    by_vendor = {"sqlite": _in_sqlite, "postgresql": _in_postgresql}
    try:
        found = by_vendor[connection.vendor](wanted, sessions, before, most)
    except EmptyResultSet:  # there are no such sessions
        return []
    return _hits(found)


def _hits(found: Sequence[tuple[int, str]]) -> list[Hit]:
    rows = Utterance.objects.filter(pk__in=[number for number, _ in found])
    rows = rows.exclude(session__state=State.DELETED)
    rows = rows.select_related("session", "participant__merged_into")
    rows = rows.defer("audio", "words")
    said = {row.pk: row for row in rows}
    return [
        Hit(
            number=number,
            id=said[number].public_id,
            session=said[number].session.public_id,
            title=said[number].session.title,
            source=said[number].session.source,
            started_at=said[number].session.started_at,
            speaker=said[number].participant.shown.name,
            start_ms=said[number].start // SAMPLES_PER_MS,
            snippet=_pieces(marked),
        )
        for number, marked in found
        if number in said
    ]


def _pieces(marked: str) -> Snippet:
    """`before BEGIN found END behind`, taken apart."""
    pieces: list[tuple[str, bool]] = []
    for part in _shortened(marked).split(BEGIN):
        found, end, rest = part.partition(END)
        if not end:
            found, rest = "", part
        pieces += [(found, True), (rest, False)]
    return tuple(piece for piece in pieces if piece[0])


def _shortened(marked: str) -> str:
    """As many words as a snippet has, from a little before what was found."""
    words = marked.split()
    found = (number for number, word in enumerate(words) if BEGIN in word)
    first = max(next(found, 0) - WORDS_BEFORE, 0)
    part = " ".join(words[first : first + WORDS])
    if part.count(BEGIN) > part.count(END):
        part += END
    before, behind = "…" * (first > 0), "…" * (first + WORDS < len(words))
    return before + part + behind


def _in_sqlite(
    wanted: tuple[Term, ...],
    sessions: QuerySet[VoiceSession] | None,
    before: int | None,
    most: int,
) -> list[tuple[int, str]]:
    match = "text : (" + " AND ".join(map(_fts5, wanted)) + ")"
    if sessions is not None:
        few = list(sessions.order_by().values_list("pk", flat=True)[: FEW + 1])
        if len(few) <= FEW:
            match += " AND place : (" + (" OR ".join(f"s{pk}" for pk in few)) + ")"
            if not few:
                return []
            sessions = None  # the index knows them
    number = "transcripts_search.rowid"  # the index begins there
    where, values = _narrowed(sessions, before, number=number)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT said.id, highlight(transcripts_search, 0, %s, %s)
            FROM transcripts_search
            JOIN transcripts_utterance said ON said.id = transcripts_search.rowid
            WHERE transcripts_search MATCH %s {where}
            ORDER BY transcripts_search.rowid DESC LIMIT %s
            """,  # noqa: S608 (put together of constants)
            [BEGIN, END, match, *values, most],
        )
        return list(cursor.fetchall())


def _narrowed(
    sessions: QuerySet[VoiceSession] | None, before: int | None, *, number: str
) -> tuple[str, list[Any]]:
    """To these sessions and what came before: more conditions, and their values.
    `number` is the column that `before` is one of."""
    where, values = "", list[Any]()
    if sessions is not None:
        sql, given = sessions.order_by().values("pk").query.sql_with_params()
        where += f" AND said.session_id IN ({sql})"
        values += given
    if before is not None:
        where += f" AND {number} < %s"
        values.append(before)
    return where, values


def _fts5(term: Term) -> str:
    return f'"{term}"' + ("*" if term.is_begun else "")


def _in_postgresql(
    wanted: tuple[Term, ...],
    sessions: QuerySet[VoiceSession] | None,
    before: int | None,
    most: int,
) -> list[tuple[int, str]]:
    with connection.cursor() as cursor:
        query = _tsquery(cursor, wanted)
        found = _newest(cursor, query, sessions, before, most)
        cursor.execute(
            """
            SELECT said.id, ts_headline(
                transcripts_config(said.language), COALESCE(made.text, said.text),
                %s::tsquery, %s
            )
            FROM transcripts_utterance said LEFT JOIN transcripts_correction made
            ON made.utterance_id = said.id AND made.is_current
            WHERE said.id = ANY(%s) ORDER BY said.id DESC
            """,
            [query, HEADLINE, found],
        )
        return list(cursor.fetchall())


def _newest(
    cursor: CursorWrapper,
    query: str,
    sessions: QuerySet[VoiceSession] | None,
    before: int | None,
    most: int,
) -> list[int]:
    """The numbers of the newest lines in which it stands.

    PostgreSQL expects a rare word hundreds of times as often as it stands there, and
    looks for it line by line. So the road is chosen here: what is frequent is found
    among the latest lines; what is not, by the index of words.
    """
    few = None
    if sessions is not None:
        keys = sessions.order_by().values_list("pk", flat=True)
        few = list(keys[: NAMED + 1])
        few = few if len(few) <= NAMED else None
    if few is not None:
        where, values = _narrowed(None, before, number="said.id")
        where, values = where + " AND said.session_id = ANY(%s)", [*values, few]
    else:
        for count in (SAMPLE, LATEST):
            found = _among_latest(cursor, count, query, sessions, before, most)
            if len(found) == most:
                return found
            if len(found) * LATEST < most * SAMPLE:
                break  # it is too rare
        where, values = _narrowed(sessions, before, number="said.id")
    cursor.execute(
        f"""
        SELECT said.id FROM transcripts_utterance said
        WHERE said.search @@ %s::tsquery {where}
        ORDER BY said.id + 0 DESC LIMIT %s
        """,  # noqa: S608 (as above; the sum is no column that an index has)
        [query, *values, most],
    )
    return [number for (number,) in cursor.fetchall()]


def _among_latest(
    cursor: CursorWrapper,
    count: int,
    query: str,
    sessions: QuerySet[VoiceSession] | None,
    before: int | None,
    most: int,
) -> list[int]:
    """Those of the latest lines, so many."""
    _, latest = _narrowed(None, before, number="id")
    until = "WHERE id < %s" if latest else ""
    where, values = _narrowed(sessions, None, number="said.id")
    cursor.execute(
        f"""
        SELECT said.id FROM (
            SELECT id, session_id, search FROM transcripts_utterance
            {until} ORDER BY id DESC LIMIT %s
        ) said
        WHERE said.search @@ %s::tsquery {where}
        ORDER BY said.id DESC LIMIT %s
        """,  # noqa: S608 (put together of constants)
        [*latest, count, query, *values, most],
    )
    return [number for (number,) in cursor.fetchall()]


def _tsquery(cursor: CursorWrapper, wanted: tuple[Term, ...]) -> str:
    """All terms, as any of the languages has them; each way once, so that PostgreSQL
    knows how many lines to expect."""
    ways, values = [], list[Any]()
    for config in (SIMPLE, *CONFIGS.values()):
        parts = []
        for term in wanted:
            part = f"phraseto_tsquery('{config}', %s)"
            values.append(str(term))
            if term.is_begun and len(term.words) == 1:
                part = f"({part} || to_tsquery('{SIMPLE}', %s))"
                values.append(f"{term}:*")
            parts.append(part)
        ways.append("(" + " && ".join(parts) + ")")
    rows = ", ".join(ways)
    cursor.execute(f"SELECT DISTINCT unnest(ARRAY[{rows}])::text", values)
    return " | ".join(f"({way})" for (way,) in cursor.fetchall() if way)
