"""The verdict of a run of chaos sees what it is there to see."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soxr
from chaos.faults import all_faults
from chaos.packets import TIMELINE, as_decoded, places_of
from chaos.people import Track
from chaos.script import FRAME_S, Pcm, Phrase, Script
from chaos.town import Down
from chaos.verdict import (
    Found,
    Hole,
    Take,
    excused,
    judged,
    off_master,
    read_lines,
)

RATE = 16_000
FRAME = 320
FRAMES = 500
BEGAN, ZERO = 1000.0, 990.0
START = round((BEGAN - ZERO) * TIMELINE)
PHRASE = Phrase("hello team", 100 * FRAME, 150 * FRAME)


@pytest.fixture
def track() -> Track:
    random = np.random.default_rng(5)
    pcm = random.integers(-25, 26, FRAMES * FRAME).astype(np.int16)
    pcm[PHRASE.begin : PHRASE.end] *= 40
    made = Track(Script("Page 0", RATE, pcm, (PHRASE,)), "web")
    made.captured[:] = BEGAN + np.arange(FRAMES) * FRAME_S
    return made


def take(pcm: Pcm, *, start: int = START) -> Take:
    return Take(ZERO, start, RATE, pcm)


def after(samples: int) -> int:
    """The timeline's place of one of the track's samples."""
    return START + samples * TIMELINE // RATE


def test_what_is_there_whole_has_no_hole(track: Track) -> None:
    found = judged(track, [take(track.script.pcm)], [])
    assert not found.holes
    assert found.at[0] == START
    assert np.abs(found.astray_ms).max() < 1e-6
    assert len(found.astray_ms) == FRAMES


def thinned(pcm: Pcm, *, begin: int, times: int) -> Pcm:
    """Half of each 20 ms left out, from a place on that is no frame's beginning."""
    gone = (begin + np.arange(times)[:, None] * FRAME + np.arange(FRAME // 2)).ravel()
    return np.delete(pcm, gone)


def test_a_delay_that_is_taken_back_in_a_pause_is_no_hole(track: Track) -> None:
    heard = thinned(track.script.pcm, begin=300 * FRAME + 269, times=19)
    found = judged(track, [take(heard)], [])
    assert not found.holes
    assert found.shortened_s == pytest.approx(0.19)


def test_a_sample_that_is_wrong_there_is_one(track: Track) -> None:
    heard = thinned(track.script.pcm, begin=300 * FRAME + 269, times=19)
    heard[305 * FRAME] += 60
    (hole,) = judged(track, [take(heard)], []).holes
    assert hole.seconds == pytest.approx(20 * FRAME_S, abs=2 * FRAME_S)


def test_a_delay_that_is_taken_back_in_speech_is_one(track: Track) -> None:
    heard = thinned(track.script.pcm, begin=110 * FRAME + 269, times=19)
    assert judged(track, [take(heard)], []).holes


def test_one_wrong_sample_is_a_hole(track: Track) -> None:
    heard = track.script.pcm.copy()
    heard[200 * FRAME + 7] += 1
    (hole,) = judged(track, [take(heard)], []).holes
    assert hole.since == BEGAN + 200 * FRAME_S
    assert hole.seconds == pytest.approx(FRAME_S)


def test_a_frame_of_which_two_servers_kept_half_each_is_no_hole(track: Track) -> None:
    cut = 200 * FRAME + 100
    one, other = track.script.pcm[:cut], track.script.pcm[cut:]
    takes = [take(other, start=after(cut)), take(one)]
    assert not judged(track, takes, []).holes
    lacking = [take(one), take(other[10:], start=after(cut + 10))]
    (hole,) = judged(track, lacking, []).holes
    assert hole.seconds == pytest.approx(FRAME_S)


def test_a_track_moved_by_a_few_samples_is_told_apart(track: Track) -> None:
    cut = 300 * FRAME + 50
    moved = np.concatenate([track.script.pcm[:cut], track.script.pcm[cut + 80 :]])
    found = judged(track, [take(moved)], [])
    assert (found.corrections, found.holes) == (1, [])
    assert np.abs(found.astray_ms).max() == pytest.approx(5.0)
    assert found.shortened_s == pytest.approx(80 / RATE)


def test_so_is_one_moved_where_two_frames_meet_or_again_and_again(track: Track) -> None:
    pcm = track.script.pcm
    across = np.concatenate([pcm[: 300 * FRAME - 30], pcm[300 * FRAME + 30 :]])
    found = judged(track, [take(across)], [])
    assert not found.holes
    assert found.shortened_s == pytest.approx(60 / RATE)
    whole = np.arange(len(pcm))
    is_left_out = (whole >= 300 * FRAME) & (whole < 400 * FRAME) & (whole % FRAME == 53)
    found = judged(track, [take(pcm[~is_left_out])], [])
    assert not found.holes
    assert found.shortened_s == pytest.approx(100 / RATE)


def test_a_pause_made_shorter_is_told_apart_and_speech_is_not(track: Track) -> None:
    def without(first: int) -> Found:
        """Half of each of ten frames is dropped."""
        frames = track.script.pcm.reshape(-1, FRAME)
        halves = frames[first : first + 10, FRAME // 2 :].reshape(-1)
        parts = [frames[:first].reshape(-1), halves, frames[first + 10 :].reshape(-1)]
        return judged(track, [take(np.concatenate(parts))], [])

    assert without(300).shortened_s == pytest.approx(0.1)
    assert not without(300).holes
    (hole,) = without(120).holes
    assert hole.seconds == pytest.approx(0.2)


def test_what_stands_late_is_astray_unless_its_road_was_slow(track: Track) -> None:
    cut = 400 * FRAME
    late = after(cut) + TIMELINE // 5
    takes = [take(track.script.pcm[:cut]), take(track.script.pcm[cut:], start=late)]
    assert max(judged(track, takes, []).astray_ms) == pytest.approx(200.0)
    slow = Down("web-a", "web", BEGAN + 8.0, BEGAN + 9.0)
    found = judged(track, takes, [slow])
    assert max(found.astray_ms) == pytest.approx(0.0)
    assert max(found.disturbed_ms) == pytest.approx(200.0)
    other = Down("phone-a", "phone", BEGAN + 8.0, BEGAN + 9.0)
    assert max(judged(track, takes, [other]).astray_ms) == pytest.approx(200.0)


@pytest.mark.parametrize(("apart_s", "holes"), [(0.08, 0), (0.6, 1)])
def test_a_spurt_that_was_interrupted_is_found_in_two_parts(
    apart_s: float, holes: int
) -> None:
    """Opus keeps no samples: each part is known by its likeness, where it may stand."""
    size, first, count = 960, 50, 60
    random = np.random.default_rng(6)
    pcm = np.zeros(150 * size, np.int16)
    phrase = Phrase("hello", first * size, (first + count) * size)
    loud = random.normal(0, 3000, count * size)
    pcm[phrase.begin : phrase.end] = np.convolve(loud, np.ones(20) / 5, "same")
    track = Track(Script("Member 0", TIMELINE, pcm, (phrase,)), "discord")
    frames = np.arange(first, first + count)
    track.captured[frames] = BEGAN + frames * FRAME_S
    truth = as_decoded(track.script, phrase)
    silence = np.zeros(round(apart_s * TIMELINE), np.int16)
    heard = np.concatenate(
        [pcm[: phrase.begin], truth[: 20 * size], silence, truth[20 * size :]]
    )
    heard = np.concatenate([heard, np.zeros(TIMELINE, np.int16)])
    found = judged(track, [Take(ZERO, START, TIMELINE, heard)], [])
    assert len(found.holes) == holes
    apart_ms = max(found.astray_ms) - min(found.astray_ms)
    assert apart_ms == pytest.approx(0.0 if holes else 80.0)


def test_what_is_quiet_at_its_end_goes_with_what_is_before_it() -> None:
    """All of it is there, and its last half stands later."""
    size, count = 960, 40
    random = np.random.default_rng(7)
    truth = random.normal(0, 3000, count * size).astype(np.int16)
    truth[36 * size :] //= 60
    late = np.zeros(70 * TIMELINE // 1000, np.int16)
    sound = np.concatenate([truth[: 20 * size], late, truth[20 * size :], late])
    apart = places_of(truth, sound, 0.0, size=size) - np.arange(count) * size
    assert (apart[:20] == 0).all()
    assert (apart[20:] == len(late)).all()


@pytest.mark.parametrize(("level", "is_there"), [(4_000, True), (0, False)])
def test_the_first_packet_behind_a_loss_sounds_otherwise(
    level: int, is_there: bool
) -> None:
    random, size, count = np.random.default_rng(1), 960, 40
    truth = random.normal(0, 3000, count * size).astype(np.int16)
    sound = truth.copy()
    sound[:size] = random.normal(0, level, size)
    found = places_of(truth, sound, 0.0, size=size)
    assert not np.isnan(found[1:]).any()
    assert np.isnan(found[0]) != is_there


def test_the_last_samples_may_stand_alone(track: Track) -> None:
    """A page that came back sends on from where it was: by no frame."""
    pcm = track.script.pcm
    heard = np.concatenate([pcm[:-4], np.zeros(909, np.int16), pcm[-4:]])
    assert not judged(track, [take(heard)], []).holes


@pytest.mark.parametrize(
    ("hole", "is_excused"),
    [
        (Hole("Phone 0", "phone", 10.0, 13.0), True),
        (Hole("Phone 0", "phone", 10.0, 13.2), False),  # too long
        (Hole("Phone 0", "phone", 13.1, 13.2), False),  # too late
        (Hole("Phone 0", "phone", 8.0, 8.9), False),  # too early
        (Hole("Page 0", "web", 10.0, 10.1), False),  # another road
    ],
)
def test_a_hole_is_excused_where_its_process_was_down(
    hole: Hole, *, is_excused: bool
) -> None:
    down = Down("phone-a", "phone", 10.0, 12.0)
    assert excused(hole, [down]) is is_excused


def line(text: str, first: int, last: int) -> dict[str, object]:
    return {"text": text, "start": after(first * FRAME), "end": after(last * FRAME)}


@pytest.mark.parametrize(
    ("lines", "lost", "doubled", "errors"),
    [
        ([line("hello team", 100, 150)], 0, 0, 0),
        ([line("hello", 100, 125), line("team", 126, 150)], 0, 0, 0),
        ([line("hello steam", 100, 150)], 0, 0, 1),
        ([], 1, 0, 2),
        ([line("", 100, 150)], 1, 0, 2),
        ([line("hello team", 300, 350)], 1, 0, 2),
        ([line("hello team", 100, 150)] * 2, 0, 1, 2),
    ],
)
def test_a_line_that_is_missing_or_twice_is_seen(
    track: Track, lines: list[dict[str, object]], lost: int, doubled: int, errors: int
) -> None:
    found = judged(track, [take(track.script.pcm)], [])
    read_lines(found, lines)
    assert found.phrases == 1
    assert (len(found.lost), len(found.doubled)) == (lost, doubled)
    assert found.word_errors == errors


def test_a_line_that_nobody_said_is_seen(track: Track) -> None:
    found = judged(track, [take(track.script.pcm)], [])
    said, late, never = (line("hello team", n, n + 50) for n in (100, 180, 300))
    read_lines(found, [said, late, never])
    assert len(found.invented) == 1
    assert found.invented[0].endswith("16.0 s: hello team")


def test_a_line_of_a_phrase_that_is_not_found_is_not_nobodys(track: Track) -> None:
    found = judged(track, [take(track.script.pcm)], [])
    found.at[100:150] = np.nan
    read_lines(found, [line("hello", 100, 125), line("hello team", 300, 350)])
    assert len(found.invented) == 1


def test_every_kind_of_fault_is_tried() -> None:
    """Those of the issue: what a run draws from."""
    names = "web-a", "web-b", "phone-a", "phone-b", "discord", "stt", "media"
    town = SimpleNamespace(
        words=dict.fromkeys(names),
        wires=("discord",),
        redis=None,
        database=None,
        stack=SimpleNamespace(folder=Path("/")),
    )
    found = all_faults(cast("Any", town), {}, step_clock=True)
    kinds = {fault.name for fault in found} - {"disk full"}
    assert kinds == {
        *(f"kill {name}" for name in (*names, "redis", "postgres")),
        *(f"freeze {name}" for name in ("web-a", "phone-a", "discord")),
        *(f"freeze {name}" for name in ("stt", "media", "redis", "postgres")),
        *(
            f"{mode} {name}"
            for mode in ("cut", "silent", "slow")
            for name in ("database", "redis", "web_a", "web_b", "phone_a")
        ),
        "pulled wire of discord",
        "narrow wire of discord",
        "S3 SlowDown",
        "S3 hangs",
        "S3 resets_in_mid_body",
        "S3 stores_half_and_resets",
        "S3 stores_nothing",
        "S3 answers_half",
        "client at ten times the speed",
        "client at half the speed",
        "client in bursts",
        "garbage for the web",
        "garbage for the phone",
        "clock +2 s",
        "clock -2 s",
    }


@pytest.mark.parametrize("moved", [0, 700, -900])
def test_a_phrase_that_stands_elsewhere_in_the_master_is_seen(
    track: Track, moved: int
) -> None:
    found = judged(track, [take(track.script.pcm)], [])
    silence = np.zeros(START + moved, np.int16)
    sound = soxr.resample(track.script.pcm, RATE, TIMELINE)
    (apart,) = off_master(found, np.concatenate([silence, sound]))
    assert abs(apart - moved) <= 1
