"""Exports are read back: SRT and WebVTT by FFmpeg's own parsers, JSON by json."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import av
import pytest

from transcripts import exports
from transcripts.exports import FORMATS, Line, LineWord


def line(
    text: str, *, start_ms: int = 0, ms: int = 1500, speaker: str = "Alice"
) -> Line:
    return Line(start_ms=start_ms, end_ms=start_ms + ms, speaker=speaker, text=text)


HOUR_MS = 3_600_000
TALK = (
    line("hello team", start_ms=1200),
    line("a < b && c > d", start_ms=61_005, speaker="<Bob> & Co"),
    line("first\n\nsecond line\r\n", start_ms=HOUR_MS + 61_001, speaker="Carol\nD"),
    line("1 --> 2", start_ms=27 * HOUR_MS + 59_999),
)


def cues(text: str, kind: str, folder: Path) -> list[tuple[int, int, str]]:
    """(start ms, length ms, raw text) of every cue, as FFmpeg reads them."""
    path = folder / f"talk.{kind}"
    path.write_text(text, encoding="utf-8")
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams[0]):
            if packet.pts is None or packet.duration is None:
                continue
            assert packet.time_base is not None
            start_ms = round(float(packet.pts * packet.time_base) * 1000)
            length_ms = round(float(packet.duration * packet.time_base) * 1000)
            found.append((start_ms, length_ms, bytes(packet).decode()))
    return found


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_players_read_its_subtitles(kind: str, tmp_path: Path) -> None:
    found = cues(FORMATS[kind].write(TALK), kind, tmp_path)
    assert [(start, length) for start, length, _ in found] == [
        (said.start_ms, 1500) for said in TALK
    ]
    assert all("\n\n" not in text for _, _, text in found)


def test_srt_names_the_speaker_before_the_text(tmp_path: Path) -> None:
    found = cues(exports.srt(TALK), "srt", tmp_path)
    assert [text for _, _, text in found] == [
        "Alice: hello team",
        "<Bob> & Co: a < b && c > d",
        "Carol D: first second line",
        "Alice: 1 -> 2",
    ]


def test_srt_counts_its_cues_and_writes_hours() -> None:
    written = exports.srt(TALK).splitlines()
    assert written[0:2] == ["1", "00:00:01,200 --> 00:00:02,700"]
    assert "01:01:01,001 --> 01:01:02,501" in written
    assert "27:00:59,999 --> 27:01:01,499" in written


def test_vtt_marks_and_escapes_the_voice() -> None:
    written = exports.vtt(TALK)
    assert written.startswith("WEBVTT\n\n00:00:01.200 --> 00:00:02.700\n")
    assert "<v Alice>hello team</v>" in written
    assert "<v &lt;Bob&gt; &amp; Co>a &lt; b &amp;&amp; c &gt; d</v>" in written
    assert "<v Alice>1 --&gt; 2</v>" in written


def test_txt_is_a_line_each() -> None:
    assert exports.txt(TALK).splitlines() == [
        "[00:00:01] Alice: hello team",
        "[00:01:01] <Bob> & Co: a < b && c > d",
        "[01:01:01] Carol D: first second line",
        "[27:00:59] Alice: 1 --> 2",
    ]


def test_json_keeps_everything() -> None:
    said = Line(
        start_ms=1200,
        end_ms=2700,
        speaker="Zoë",
        text="hello\nteam",
        id="u",
        participant="p",
        words=(LineWord("hello", 1210, 1500, 0.97),),
        language="en",
        confidence=0.93,
    )
    wanted = {
        "id": "u",
        "participant": "p",
        "name": "Zoë",
        "start_ms": 1200,
        "end_ms": 2700,
        "text": "hello\nteam",
        "words": [
            {"word": "hello", "start_ms": 1210, "end_ms": 1500, "probability": 0.97}
        ],
        "language": "en",
        "confidence": 0.93,
        "original": None,
    }
    assert json.loads(exports.json_([said])) == {"lines": [wanted]}
    (written,) = exports.jsonl([said]).splitlines()
    assert json.loads(written) == wanted


def test_nothing_said_is_a_valid_file() -> None:
    assert {kind: made.write([]) for kind, made in FORMATS.items()} == {
        "txt": "",
        "srt": "",
        "vtt": "WEBVTT\n",
        "json": '{\n  "lines": []\n}\n',
        "jsonl": "",
        "csv": "start_s,end_s,speaker,text,language\r\n",
        "labels": "",
    }


def test_a_cue_never_ends_before_it_shows() -> None:
    assert "00:00:01.000 --> 00:00:01.001" in exports.vtt(
        [line("x", start_ms=1000, ms=0)]
    )


def test_a_table_is_read_back_by_a_reader_of_tables() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].write(TALK), newline="")))
    assert [float(row["start_s"]) for row in rows] == [
        said.start_ms / 1000 for said in TALK
    ]
    assert rows[1]["speaker"] == "<Bob> & Co"
    assert rows[2]["text"] == "first second line"


@pytest.mark.parametrize("begins", "=+-@")
def test_a_spreadsheet_finds_no_formula_in_what_was_said(begins: str) -> None:
    said = line(f"{begins}1+1", speaker=f'{begins}HYPERLINK("https://x")')
    (row,) = csv.DictReader(io.StringIO(exports.csv_([said])))
    assert row["text"] == f"'{begins}1+1"
    assert row["speaker"].startswith("'")


def test_audacity_reads_a_label_a_line() -> None:
    found = [row.split("\t") for row in FORMATS["labels"].write(TALK).splitlines()]
    assert found[0] == ["1.200000", "2.700000", "Alice: hello team"]
    assert [len(row) for row in found] == [3] * len(TALK)
    assert float(found[3][0]) == (27 * HOUR_MS + 59_999) / 1000
