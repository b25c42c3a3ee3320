"""Server-sent events."""

from __future__ import annotations

import pytest

from bot.voice.responder.sse import MAX_EVENT_BYTES, EventReader

STREAM = (
    b"\xef\xbb\xbf: hello\r\n\r\nevent: message\r\ndata: one\r\n\r\n"
    b'data:two\ndata: {"a": "\xc3\xa9"}\n\nid: 7\n\ndata: [DONE]\n\n'
)
EVENTS = ["one", 'two\n{"a": "é"}', "[DONE]"]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_come_whole_however_they_are_cut(size: int) -> None:
    reader = EventReader()
    found = []
    for at in range(0, len(STREAM), size):
        found += reader.feed(STREAM[at : at + size])
    assert found == EVENTS
    assert reader.flush() == []


def test_the_last_event_may_lack_its_blank_line() -> None:
    reader = EventReader()
    assert reader.feed(b"data: last") == []
    assert reader.flush() == ["last"]


def test_what_is_no_utf8_stays_readable() -> None:
    assert EventReader().feed(b"data: a\xff\xfeb\n\n") == ["a��b"]


@pytest.mark.parametrize("line", [b"x", b"data: x\n"])
def test_an_event_without_end_is_refused(line: bytes) -> None:
    reader = EventReader()
    chunk = line * (MAX_EVENT_BYTES // 2 // len(line))
    reader.feed(chunk)
    with pytest.raises(ValueError, match="without end"):
        reader.feed(chunk * 3)
