"""Minutes: what people keep of a talk, as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

from transcripts import minutes
from transcripts.exports import Line
from transcripts.minutes import Minutes, Note

BEGAN = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def line(speaker: str, text: str, *, at_s: int, seconds: int = 2) -> Line:
    start = at_s * 1000
    return Line(start, start + seconds * 1000, speaker, text, participant=speaker)


TALK = (
    line("Ada", "Good morning.", at_s=1, seconds=6),
    line("Ada", "Shall we start?", at_s=8),
    line("Ben", "Yes.", at_s=12),
    line("Ada", "Good.", at_s=15),
    line("Ada", "After the break.", at_s=3605),
)


def written(**changes: object) -> str:
    given = {"title": "Planning", "started_at": BEGAN, "duration_ms": 3_720_000}
    return minutes.write(Minutes(**(given | {"lines": TALK} | changes)))  # type: ignore[arg-type]


def test_they_begin_with_what_it_was() -> None:
    assert written().startswith(
        "# Planning\n\n- Date: 4 May 2026, 09:30 UTC\n- Length: 1:02:00\n"
    )


def test_they_tell_who_spoke_how_long() -> None:
    assert "| Ada | 0:00:12 | 86 % |\n| Ben | 0:00:02 | 14 % |\n" in written()


def test_lines_of_one_speaker_are_one_turn_until_they_pause() -> None:
    found = [(turn.speaker, turn.texts) for turn in minutes.turns(TALK)]
    assert found == [
        ("Ada", ("Good morning.", "Shall we start?")),
        ("Ben", ("Yes.",)),
        ("Ada", ("Good.",)),
        ("Ada", ("After the break.",)),
    ]
    assert "**Ada** (0:00:01)  \nGood morning. Shall we start?\n" in written()


def test_bookmarks_stand_in_their_order() -> None:
    notes = (Note(65_000, "later", "ben"), Note(4_000, "first"), Note(5_000, ""))
    told = written(notes=notes)
    items = [text for text in told.splitlines() if text.startswith("- **")]
    assert items == [
        "- **0:00:04** first",
        "- **0:00:05** Bookmark",
        "- **0:01:05** later (ben)",
    ]
    assert "## Bookmarks" not in written()


def test_what_people_say_is_no_markup() -> None:
    said = (
        line("*Eve* | <b>", "# not a head\n\n[x](http://evil) `rm`", at_s=0),
        line("Ben", "1. no list", at_s=1),
        line("Ada", "- nor here", at_s=3),
    )
    told = written(lines=said, title="a\n# b")
    assert "# a \\# b\n" in told
    assert "**\\*Eve\\* \\| \\<b\\>** (0:00:00)" in told
    assert "\\# not a head \\[x\\](http://evil) \\`rm\\`" in told
    assert "\n1\\. no list\n" in told
    assert "\n\\- nor here\n" in told
    assert [t for t in told.splitlines() if t.startswith("#")] == [
        "# a \\# b",
        "## Who spoke",
        "## Transcript",
    ]


def test_a_silent_session_has_minutes_too() -> None:
    told = written(lines=(), title="", started_at=None, duration_ms=0)
    assert told.startswith("# Untitled session\n\n- Length: 0:00:00\n")
    assert "Nothing was said." in told
