"""The track's encoder: the session's grid, gaps, and silence that costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from babble import babble, laid_out, scattered
from numpy.typing import NDArray

from sessions.audio import lame
from sessions.audio.encode import LOOK_AHEAD, SETTLED, TrackEncoder
from sessions.audio.lame import Lame
from sessions.audio.mp3frames import DELAY, FRAME_SAMPLES, is_silent

FRAME_BYTES = 192


def unbroken(sound: NDArray[np.int16]) -> bytes:
    """What LAME makes of everything, all zeros too, to the end of the frame."""
    stream = Lame()
    padded = np.append(sound, np.zeros(-len(sound) % FRAME_SAMPLES, np.int16))
    return stream.encode(padded) + stream.finish()


def encoded(
    pieces: list[tuple[int, NDArray[np.int16]]], samples: int, *, first_frame: int = 0
) -> bytes:
    begin = first_frame * FRAME_SAMPLES
    track = TrackEncoder(first_frame=first_frame)
    stream = b"".join(track.put(begin + at, piece) for at, piece in pieces)
    return stream + track.advance(begin + samples) + track.finish()


def test_gaps_give_the_same_bits_as_their_zeros() -> None:
    samples = 6 * 48_000
    pieces = scattered(samples, gaps=(1, 40_000), bursts=(1, 12_000))
    assert encoded(pieces, samples) == unbroken(laid_out(pieces, samples))


@pytest.mark.parametrize("frames", [1, 3, 7, 8, 9, 12])
@pytest.mark.parametrize("over", [0, 575, 1151])
def test_a_gap_about_as_long_as_lames_memory_gives_the_same_bits(
    frames: int, over: int
) -> None:
    gap = frames * FRAME_SAMPLES + over
    sound = babble(2 * 5000 + gap)
    sound[5000 : 5000 + gap] = 0
    pieces = [(0, sound[:5000]), (5000 + gap, sound[5000 + gap :])]
    assert encoded(pieces, len(sound)) == unbroken(sound)


def test_silence_within_a_piece_costs_nothing_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = laid_out([(0, babble(9000)), (471_000, babble(9000))], 480_000)
    truth = unbroken(sound)
    heard: list[int] = []
    encode = Lame.encode

    def counted(stream: Lame, pcm: NDArray[np.int16]) -> bytes:
        heard.append(len(pcm))
        return encode(stream, pcm)

    monkeypatch.setattr(Lame, "encode", counted)
    assert encoded([(0, sound)], len(sound)) == truth
    assert sum(heard) < 18_000 + SETTLED + 5 * FRAME_SAMPLES


def test_a_late_joiner_stands_on_the_sessions_grid() -> None:
    piece = babble(9000)
    late = encoded([(500, piece)], 10_000, first_frame=1000)
    assert late == encoded([(500, piece)], 10_000)


def test_a_frame_is_given_as_soon_as_lame_has_it() -> None:
    track, eager = TrackEncoder(first_frame=0), Lame()
    sound = babble(80_000)
    sound[10_000:60_000] = 0
    for at in range(0, len(sound), 960):
        piece = sound[at : at + 960]
        given = track.put(at, piece) if piece.any() else track.advance(at + 960)
        assert given == eager.encode(piece)


@pytest.mark.parametrize("samples", [1, 47, 48, 1151, 1152, 1153, 50_000])
def test_the_end_holds_all_that_was_put_behind_the_decoders_delay(samples: int) -> None:
    track = TrackEncoder(first_frame=3)
    stream = track.put(3 * FRAME_SAMPLES, babble(samples)) + track.finish()
    assert len(stream) == track.frames_out * FRAME_BYTES
    assert track.frames_out * FRAME_SAMPLES - DELAY >= samples
    assert track.frames_out == -(-samples // FRAME_SAMPLES) + 1


def test_a_track_nobody_spoke_on_has_no_frames() -> None:
    track = TrackEncoder(first_frame=5)
    assert track.finish() == b""
    assert track.frames_out == 0


def test_a_track_of_silence_is_silent_frames() -> None:
    track = TrackEncoder(first_frame=0)
    stream = track.advance(48_000 * 60) + track.finish()
    assert len(stream) == 2501 * FRAME_BYTES
    assert stream == stream[:FRAME_BYTES] * 2501
    assert is_silent(stream[:FRAME_BYTES])


def test_what_is_known_already_is_not_silenced_again() -> None:
    track = TrackEncoder(first_frame=0)
    track.put(0, babble(5000))
    assert track.advance(4000) == b""
    assert track.position == 5000


def test_nothing_in_the_pipe_is_older_than_two_frames() -> None:
    track = TrackEncoder(first_frame=0)
    for at in range(0, 48_000, 320):
        track.put(at, babble(320))
        waiting = track.position - track.frames_out * FRAME_SAMPLES
        assert waiting < LOOK_AHEAD + FRAME_SAMPLES


@pytest.mark.parametrize("position", [4999, 1152 * 2 - 1])
def test_overlap_and_sound_before_the_track_are_refused(position: int) -> None:
    track = TrackEncoder(first_frame=2)
    track.put(2 * FRAME_SAMPLES, babble(5000 - 2 * FRAME_SAMPLES))
    with pytest.raises(ValueError, match="5000 is past"):
        track.put(position, babble(10))


def test_both_libraries_forget_after_silence() -> None:
    wheel = lame.wheel()
    assert wheel is not None
    using = lame.load(wheel)
    sound = babble(40_000)
    sound[8000:30_000] = 0
    track, stream = TrackEncoder(first_frame=0, using=using), Lame(using=using)
    assert track.put(0, sound) == stream.encode(sound)
