"""The mix and its parts against FFmpeg's meter and decoder, at length and at random.

What takes too long for the pure tests beside them.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from speech import voices

from sessions.audio.encode import TrackEncoder
from sessions.audio.granules import Granules
from sessions.audio.limiter import SIDE, amplitude, true_peaks
from sessions.audio.loudness import LoudnessMeter, integrated, mono
from sessions.audio.meter import Meter
from sessions.audio.mixdown import mix_to_mp3
from sessions.audio.mixture import Mixture
from sessions.audio.mp3decode import DELAY, FRAME_BYTES, Piece, TrackReader
from sessions.audio.mp3decoders import FFmpeg
from sessions.audio.mp3gain import choose, normalised
from sessions.audio.mp3measure import SLACK_DB, measure, recalled

RATE = 48_000


def spoken(seed: int, level_db: float = 0.0) -> NDArray[np.int16]:
    """A sentence of a synthetic voice at 48 kHz."""
    words = voices.unseen_phrases(1, seed=seed)[0]
    delivery = voices.Delivery(pitch=20 + 10 * seed)
    pcm = voices.trim(voices.speak(words, delivery=delivery)).astype(np.float64)
    wide = np.interp(np.arange(3 * len(pcm)) / 3, np.arange(len(pcm)), pcm)
    return np.asarray(wide * amplitude(level_db), dtype=np.int16)


def talk(seed: int, *, turns: int = 6, level_db: float = 0.0) -> NDArray[np.int16]:
    """Sentences with pauses of about two seconds."""
    random = np.random.default_rng(seed)
    sentence = spoken(seed, level_db)
    parts: list[NDArray[np.int16]] = []
    for _ in range(turns):
        parts += [np.zeros(int(random.uniform(1, 3) * RATE), np.int16), sentence]
    return np.concatenate(parts)


def encoded(pcm: NDArray[np.int16], *, kbps: int = 64) -> bytes:
    encoder = TrackEncoder(first_frame=0, bitrate_kbps=kbps)
    return encoder.put(0, pcm) + encoder.finish()


def decoded(mp3: bytes, *, frame_bytes: int = FRAME_BYTES) -> NDArray[np.float32]:
    """By FFmpeg, every frame; the first sample is position 0."""
    codec: Any = av.CodecContext.create("mp3float", "r")
    packets = (mp3[at : at + frame_bytes] for at in range(0, len(mp3), frame_bytes))
    frames = [frame for packet in packets for frame in codec.decode(av.Packet(packet))]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])[DELAY:]


def ebur128(pcm: NDArray[Any]) -> tuple[float, float]:
    """FFmpeg's integrated loudness (LUFS) and true peak (dBTP)."""
    graph: Any = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=RATE, format="flt", layout="mono", time_base=Fraction(1, RATE)
    )
    meter = graph.add("ebur128", "metadata=1:peak=true:framelog=quiet")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(
        mono(pcm).reshape(1, -1), format="flt", layout="mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    source.push(frame)
    source.push(None)
    said: dict[str, str] = {}
    while True:
        try:
            said |= sink.pull().metadata
        except (av.FFmpegError, EOFError):
            break
    peak = float(said["lavfi.r128.true_peak"])
    return float(said["lavfi.r128.I"]), 20 * float(np.log10(peak))


def loudness(pcm: NDArray[Any]) -> float:
    meter = LoudnessMeter()
    meter.add(0, pcm)
    found = integrated(meter.energies())
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loudness_is_what_ffmpegs_meter_says(seed: int) -> None:
    pcm = talk(seed, level_db=-3 * seed)
    assert loudness(pcm) == pytest.approx(ebur128(pcm)[0], abs=0.1)


def test_loudness_of_a_join_is_that_of_its_parts() -> None:
    """Energies of chunks, stored apart, against the meter over the whole."""
    pcm = talk(4)
    cut = 20 * 4_800
    meter = LoudnessMeter()
    meter.add(0, pcm[: cut + 5_000])
    first = meter.energies(until=cut)
    meter.add(cut + 5_000, pcm[cut + 5_000 :])
    joined = integrated(np.concatenate([first, meter.energies()]))
    assert joined == pytest.approx(ebur128(pcm)[0], abs=0.1)


def test_the_true_peak_is_what_ffmpegs_meter_says() -> None:
    pcm = mono(spoken(5))
    padded = np.pad(pcm[: len(pcm) // 48 * 48], SIDE)
    ours = 20 * np.log10(true_peaks(padded).max())
    assert ours == pytest.approx(ebur128(pcm)[1], abs=0.2)


def test_a_master_is_as_loud_as_wanted_and_below_its_ceiling() -> None:
    tracks = [
        TrackReader(
            [Piece(encoded(talk(seed, level_db=-4 * seed)), first_frame=40 * k)]
        )
        for k, seed in enumerate([1, 2, 3, 4])
    ]
    end = max(track.end for track in tracks)
    stream = bytearray()
    mix_to_mp3(tracks, end=end, write=stream.extend)
    found, peak = ebur128(decoded(bytes(stream), frame_bytes=384))
    assert found == pytest.approx(-16, abs=0.5)
    assert -2.5 < peak < -1.0


def as_measured(pcm: NDArray[np.int16]) -> Granules:
    """By the recorder, before it was encoded."""
    meter = Meter(0)
    meter.add(0, pcm)
    meter.flush()
    return meter.granules()


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("seed", [1, 3])
def test_a_fragment_is_normalised_as_ffmpegs_meter_says(
    seed: int, *, is_known: bool
) -> None:
    """One sentence again and again, as peaky as espeak is: the hardest case. Longer
    than what is decoded of it where it was measured before."""
    pcm = talk(seed, turns=30, level_db=-9)
    mp3 = encoded(pcm)
    known = as_measured(pcm) if is_known else None
    result = b"".join(normalised(TrackReader([Piece(mp3)]), known=known))
    assert len(result) == len(mp3)
    found, peak = ebur128(decoded(result))
    assert found == pytest.approx(-16, abs=0.5)
    assert peak == pytest.approx(-1.5, abs=0.5)


def test_what_was_measured_before_is_what_the_decoder_finds() -> None:
    pcm = np.concatenate([talk(3, turns=40, level_db=-6), talk(2, turns=10)])
    track = TrackReader([Piece(encoded(pcm))])
    found, exact = recalled(track, as_measured(pcm)), measure(track)
    assert found.slack_db == SLACK_DB
    assert np.array_equal(found.audible, exact.audible)
    apart = 10 * np.log10(found.energies.sum() / exact.energies.sum())
    assert abs(apart) < 0.1
    loud = found.peaks > 0.1
    over = 20 * np.log10(exact.peaks[loud] / found.peaks[loud])
    assert np.mean(over > SLACK_DB) < 0.001


def test_what_was_measured_of_other_sound_is_not_believed() -> None:
    pcm = talk(3, turns=20)
    track = TrackReader([Piece(encoded(pcm))])
    found, exact = recalled(track, as_measured(pcm // 4)), measure(track)
    assert found.slack_db == 0
    assert found.energies.sum() == pytest.approx(exact.energies.sum(), rel=1e-3)
    assert found.peaks == pytest.approx(exact.peaks, abs=1e-5)


def test_what_is_too_peaky_for_its_frames_is_encoded_anew() -> None:
    """A click in the talk every 40 ms: whole granules are too coarse."""
    pcm = talk(2, turns=2, level_db=-14).astype(np.int32)
    pcm[2_000::1_920] += np.where(pcm[2_000::1_920], 8_000, 0)
    mp3 = encoded(pcm.clip(-32_768, 32_767).astype(np.int16))
    track = TrackReader([Piece(mp3, first_frame=50)])
    assert abs((choose(measure(track)).loudness_lufs or 0) + 16) > 1
    result = b"".join(normalised(track))
    assert len(result) == len(mp3)
    found, peak = ebur128(decoded(result))
    assert found == pytest.approx(-16, abs=0.5)
    assert peak == pytest.approx(-1.5, abs=0.5)
    before, after = decoded(mp3), decoded(result)
    near = np.correlate(after[:200_000], before[500:195_000], "valid")
    assert int(near.argmax()) == 500


def test_every_speaker_stands_at_their_sample_in_the_master() -> None:
    """Clicks of eight tracks, through both encoders, at the places they were made."""
    places = [48_000 + 60_013 * number for number in range(8)]
    click = np.hanning(60) * np.sin(np.arange(60)) * 12_000
    tracks = []
    for number, place in enumerate(places):
        pcm = np.zeros(600_000, np.int16)
        pcm[place : place + 60] = click
        late = number * 5 * 1_152  # the track begins later, on the session's grid
        piece = Piece(encoded(pcm[late:]), first_frame=number * 5)
        tracks.append(TrackReader([piece]))
    stream = bytearray()
    mix_to_mp3(tracks, end=600_000, write=stream.extend)
    master = decoded(bytes(stream), frame_bytes=384)
    for place in places:
        near = np.correlate(master[place - 200 : place + 260], click, "valid")
        assert int(near.argmax()) == 200


def test_parts_encoded_at_once_join_without_a_seam() -> None:
    track = TrackReader([Piece(encoded(talk(1, level_db=-6)))])
    streams = [bytearray(), bytearray()]
    for parts, stream in enumerate(streams, start=1):
        mix_to_mp3([track], end=track.end, write=stream.extend, parts=parts * 3 - 2)
    one, four = (decoded(bytes(stream), frame_bytes=384) for stream in streams)
    assert len(one) == len(four) >= track.end
    assert np.abs(one).max() > 0.5
    assert np.abs(one - four).max() < 0.01
    assert np.square(one - four).sum() < 1e-5 * np.square(one).sum()


def test_random_windows_are_the_unbroken_decode() -> None:
    mp3 = encoded(talk(2))
    whole = decoded(mp3)
    track = TrackReader([Piece(mp3)])
    random = np.random.default_rng(9)
    for start in random.integers(0, len(whole) - 30_000, 100):
        stop = start + int(random.integers(1, 30_000))
        found = track.window(int(start), stop)
        assert np.abs(found - whole[start:stop]).max() < 1 / 65_536


def test_hostile_bytes_never_move_what_follows(tmp_path: Path) -> None:
    mp3 = encoded(talk(1, turns=2))
    frames = np.frombuffer(mp3, np.uint8).reshape(-1, FRAME_BYTES)
    random = np.random.default_rng(6)
    for decoder in (None, FFmpeg()):
        for _ in range(25):
            hostile = frames.copy()
            begin = int(random.integers(0, len(frames) // 2))
            places = random.integers(4, FRAME_BYTES, 60)
            hostile[begin : begin + 9, places] = random.integers(0, 256, (9, 60))
            track = TrackReader([Piece(hostile.tobytes())], decoder=decoder)
            behind = (begin + 12) * 1_152
            read = track.window(0, track.end)
            assert np.isfinite(read).all()
            assert np.abs(read).max() <= 2
            assert np.allclose(read[behind:], decoded(mp3)[behind:], atol=1 / 65_536)


class Long:
    """Talk without end, made as it is asked for."""

    def sounds(
        self, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        yield start, np.full(stop - start, 0.1, np.float32)


def peak_memory(minutes: int) -> int:
    tracemalloc.start()
    with Mixture(window=5 * RATE) as mixture:
        mixture.add([Long()] * 3, minutes * 60 * RATE)
        for _ in mixture.sounds(gain_db=25, ceiling_dbtp=-1.5):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_length() -> None:
    assert peak_memory(5) < peak_memory(1) + 3_000_000
