"""A tape's chunks: cut without a seam, and made again to the same bytes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from decoding import decode
from numpy.typing import NDArray

from sessions.audio.frames import Placed
from sessions.audio.granules import Granules
from sessions.audio.meter import Metered
from sessions.audio.mp3decode import Piece, TrackReader
from sessions.audio.mp3frames import FRAME_SAMPLES, joined
from sessions.audio.mp3measure import measure
from sessions.audio.peaks import PIXEL
from sessions.capture.tape import FRAME_BYTES, Sealed, Tape
from sessions.joining import Extent, Measure
from sessions.spool import Folder

RATE = 16_000
STEP = 320  # 20 ms
ORIGIN = 48_000 * 7 + 331  # somebody who came seven seconds late


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "a").mkdir()
    return Folder(tmp_path / "a")


def speech(seconds: float, *, seed: int = 1) -> NDArray[np.int16]:
    """Shaped like speech: noise of the voice's band that comes and goes."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(int(seconds * RATE))
    smooth = np.convolve(noise, np.hanning(12) / 6, mode="same")
    moments = np.arange(len(noise)) / RATE
    return np.asarray(6000 * smooth * (np.sin(moments * 9) > -0.3), np.int16)


def a_track(pcm: NDArray[np.int16], *, gaps: dict[int, int]) -> list[Placed]:
    """Frames of 20 ms; before frame k `gaps[k]` samples at 48 kHz are missing."""
    at, track = ORIGIN, []
    for number in range(len(pcm) // STEP):
        at += gaps.get(number, 0)
        track.append(Placed(at, pcm[number * STEP : (number + 1) * STEP], RATE))
        at = track[-1].end
    return track


def played(folder: Folder, track: list[Placed], *, chunk_s: float) -> list[Sealed]:
    tape = Tape(folder, chunk_s=chunk_s)
    return [done for placed in track for done in tape.put(placed)] + tape.finish()


def test_chunks_begin_where_everybodys_do_and_join_to_the_unbroken_stream(
    folder: Folder, tmp_path: Path
) -> None:
    track = a_track(speech(12), gaps={100: 48_000, 333: 4_321})
    sealed = played(folder, track, chunk_s=1.0)
    (tmp_path / "b").mkdir()
    (whole,) = played(Folder(tmp_path / "b"), track, chunk_s=3600)
    assert b"".join(s.path.read_bytes() for s in sealed) == whole.path.read_bytes()
    assert sealed[0].first_frame == ORIGIN // FRAME_SAMPLES
    for before, after in itertools.pairwise(sealed):
        assert before.first_frame + before.frames == after.first_frame
        second = -(-after.first_frame * FRAME_SAMPLES // 48_000)
        assert after.first_frame == -(-second * 48_000 // FRAME_SAMPLES) or (
            after.first_frame * FRAME_SAMPLES % 48_000 < FRAME_SAMPLES
        )
    assert all(s.path.stat().st_size == s.frames * FRAME_BYTES for s in sealed)


def test_every_sample_stands_where_it_was_placed(folder: Folder) -> None:
    track = a_track(speech(8), gaps={50: 24_000, 200: 1_111})
    sealed = played(folder, track, chunk_s=2.0)
    start = sealed[0].first_frame * FRAME_SAMPLES
    end = track[-1].end
    file = joined([s.path.read_bytes() for s in sealed], samples=end - start)
    found = np.clip(decode(file) * 32768, -32768, 32767).astype(np.int16)
    assert len(found) == end - start
    truth = np.zeros(end - start)
    for placed in track:
        at = placed.position - start
        truth[at : at + 960 : 3] = placed.pcm
    for a in (0, 60, 210, 380):  # a second of each stretch, by its lag
        at = track[a].position - start
        piece = truth[at : at + 12_000]
        near = found[at - 60 : at + 12_060].astype(float) if at >= 60 else None
        if near is None:
            continue
        lags = np.correlate(near, piece, mode="valid")
        assert int(np.argmax(lags)) - 60 == 0


def test_a_chunk_made_again_has_the_same_waveform(
    folder: Folder, tmp_path: Path
) -> None:
    track = a_track(speech(5), gaps={100: 48_000, 150: 4_321})
    sealed = played(folder, track, chunk_s=1.0)
    (tmp_path / "b").mkdir()
    again = played(Folder(tmp_path / "b"), track, chunk_s=1.0)
    for one, other in zip(sealed, again, strict=True):
        assert one.metered.peak_bytes == other.metered.peak_bytes
        assert one.metered.energy_bytes == other.metered.energy_bytes
        start = one.first_frame * FRAME_SAMPLES
        end = start + one.frames * FRAME_SAMPLES
        assert len(one.metered.peaks) == end // PIXEL - start // PIXEL
    whole = Metered.joined({s.first_frame * FRAME_SAMPLES: s.metered for s in sealed})
    begin = (track[10].position - sealed[0].first_frame * FRAME_SAMPLES) // PIXEL
    assert whole.peaks[begin : begin + 5].any()
    silent = track[99].end // PIXEL - sealed[0].first_frame * FRAME_SAMPLES // PIXEL + 2
    assert not whole.peaks[silent : silent + 15].any()


def test_beside_each_chunk_lies_what_its_granules_measure(folder: Folder) -> None:
    sealed = played(folder, a_track(speech(5), gaps={100: 48_000}), chunk_s=1.0)
    parts = [
        Granules.of(folder.granules(one.first_frame).read_bytes()) for one in sealed
    ]
    track = TrackReader([Piece(one.path, one.first_frame) for one in sealed])
    decoded = measure(track)
    known = Granules.joined(parts).within(2 * track.first_frame, 2 * track.end_frame)
    left = decoded.energies.sum() / known.energies.sum()
    assert 0.6 < left < 1.05  # an encoder takes a part away
    assert np.corrcoef(decoded.peaks, known.peaks)[0, 1] > 0.99
    last = np.flatnonzero(decoded.peaks > 0.05)[-1]
    assert known.peaks[last] > 0.05


def test_a_full_disk_costs_what_was_measured_and_no_chunk(folder: Folder) -> None:
    track = a_track(speech(3), gaps={})
    first = track[0].position // FRAME_SAMPLES
    folder.granules(first).mkdir()  # nothing can be written there
    sealed = played(folder, track, chunk_s=60.0)
    assert [one.first_frame for one in sealed] == [first]


def test_the_loss_map_names_what_is_missing() -> None:
    track = a_track(speech(2), gaps={20: 48_000, 60: 100})
    measure = Measure()
    assert list(measure.of(track)) == track
    assert measure.extent == Extent(
        track[0].position, track[-1].end, ((track[19].end, track[20].position),)
    )
