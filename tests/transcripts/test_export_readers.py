"""Exports are opened by readers that others wrote, and asked for over HTTP."""

from __future__ import annotations

import io
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import srt  # type: ignore[import-untyped]
import webvtt
from django.test import Client
from scene import a_session

from sessions import access, participants
from sessions.models import State, VoiceSession
from transcripts import exports
from transcripts.exports import Line
from transcripts.utterances import Scripted, write

SECOND = 48_000
TALK = (
    Line(1_200, 2_700, "Ada", "hello team"),
    Line(61_005, 62_000, "<Bob> & Co", "a < b && c > d --> e"),
    Line(3_661_001, 3_662_000, "Zoë\nD", "first\n\nsecond line\r\n"),
)


def test_srt_is_read_by_the_srt_package() -> None:
    cues = list(srt.parse(exports.srt(TALK)))
    assert [cue.index for cue in cues] == [1, 2, 3]
    assert [cue.start for cue in cues] == [
        timedelta(milliseconds=line.start_ms) for line in TALK
    ]
    assert [cue.end for cue in cues] == [
        timedelta(milliseconds=line.end_ms) for line in TALK
    ]
    assert cues[1].content == "<Bob> & Co: a < b && c > d -> e"
    assert cues[2].content == "Zoë D: first second line"


def test_vtt_is_read_by_the_webvtt_package() -> None:
    cues = webvtt.from_buffer(io.StringIO(exports.vtt(TALK))).captions
    assert [cue.start for cue in cues] == [
        "00:00:01.200",
        "00:01:01.005",
        "01:01:01.001",
    ]
    assert [cue.voice for cue in cues] == ["Ada", "&lt;Bob&gt; &amp; Co", "Zoë D"]
    assert cues[0].text == "hello team"


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_ffmpeg_makes_one_of_the_other(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"talk.{kind}"
    path.write_text(exports.FORMATS[kind].write(TALK), encoding="utf-8")
    words = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "srt", "-"]
    done = subprocess.run(words, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    cues = list(srt.parse(done.stdout.decode()))
    assert [cue.start.total_seconds() for cue in cues] == [1.2, 61.005, 3661.001]


@pytest.fixture
def talk(db: None) -> VoiceSession:
    session = a_session(State.ACTIVE, title="Planning")
    person = participants.join(session.pk, key="ada", name="Ada", connection="c")
    for n, text in enumerate(("Good morning.", "Shall we start?")):
        at = n * 3 * SECOND
        write(Scripted(session.pk, person.pk, at, at + SECOND, text))
    return session


def get(session: VoiceSession, suffix: str) -> Any:
    url = f"/api/sessions/{session.public_id}/transcript.{suffix}"
    return Client().get(url, {"token": access.token_of(session)})


def test_minutes_are_had_by_their_suffix(talk: VoiceSession) -> None:
    answer = get(talk, "md")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    told = answer.content.decode()
    assert told.startswith("# Planning\n")
    assert "**Ada** (0:00:00)  \nGood morning. Shall we start?" in told


def test_what_there_is_not_is_said_with_what_there_is(talk: VoiceSession) -> None:
    answer = get(talk, "docx")
    assert answer.status_code == 404
    assert "labels, md" in answer.json()["message"]


@pytest.mark.parametrize("suffix", [*exports.FORMATS, "md"])
def test_every_kind_is_answered(talk: VoiceSession, suffix: str) -> None:
    answer = get(talk, suffix)
    assert answer.status_code == 200
    assert b"Good morning" in answer.content
