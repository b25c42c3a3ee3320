"""What is said on a line: whole frames, and pieces whose place is known."""

from __future__ import annotations

from bot.voice.playout import Piece, Playout


def sound(frames: float, value: int = 1) -> bytes:
    return bytes([value, 0]) * int(160 * frames)


def test_nothing_is_said_where_nothing_is() -> None:
    playout = Playout(8000)
    assert playout.frame_bytes == 320
    assert playout.frame() is None
    assert playout.sent == 160


def test_pieces_follow_each_other_within_a_frame() -> None:
    playout = Playout(8000, sent=1000)
    first, second = Piece(sound(1.5, 1)), Piece(sound(1.25, 2))
    playout.put(first)
    playout.put(second)
    assert playout.remaining_s == 2.75 * 0.020
    frames = [playout.frame() for _ in range(4)]
    assert frames[0] == sound(1, 1)
    assert frames[1] == sound(0.5, 1) + sound(0.5, 2)
    assert frames[2] == sound(0.75, 2) + bytes(80)
    assert frames[3] is None
    assert (first.begun, first.ended) == (1000, 1240)
    assert (second.begun, second.ended) == (1240, 1440)
    assert not playout.is_playing


def test_what_is_stopped_says_how_far_it_came() -> None:
    playout = Playout(8000)
    first, second = Piece(sound(3)), Piece(sound(1))
    playout.put(first)
    playout.put(second)
    playout.frame()
    assert playout.clear() == [first, second]
    assert (first.begun, first.ended, first.cut) == (0, 160, True)
    assert (second.begun, second.ended, second.cut) == (None, None, True)
    assert playout.frame() is None


def test_half_a_sample_is_none() -> None:
    playout = Playout(16_000)
    playout.put(Piece(b"\x01"))
    assert not playout.is_playing
    playout.put(Piece(b"\x01\x02\x03"))
    assert playout.frame() == b"\x01\x02" + bytes(638)


def test_a_stall_moves_what_is_said_behind_it() -> None:
    playout = Playout(8000)
    piece = Piece(sound(1))
    playout.put(piece)
    playout.skip(5)
    playout.frame()
    assert (piece.begun, piece.ended) == (800, 960)
