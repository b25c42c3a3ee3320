"""Waveforms: pairs of least and greatest, and the two forms players read."""

from __future__ import annotations

import json
import struct

import numpy as np

from sessions.audio.peaks import PIXEL, PeakMeter, as_dat, as_json


def test_a_pair_holds_the_least_and_the_greatest_of_50_ms() -> None:
    meter = PeakMeter()
    pcm = np.zeros(2 * PIXEL, np.int16)
    pcm[100], pcm[200], pcm[PIXEL] = 32767, -32768, 256
    meter.add(0, pcm)
    assert meter.peaks().tolist() == [[-128, 127], [0, 1]]


def test_pieces_of_any_size_give_the_same_pairs() -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32767, 7_777).astype(np.int16)
    whole, parts = PeakMeter(), PeakMeter()
    whole.add(0, pcm)
    for start in range(0, len(pcm), 961):
        parts.add(start, pcm[start : start + 961])
    assert parts.peaks().tolist() == whole.peaks().tolist()


def test_silence_between_pieces_is_flat() -> None:
    meter = PeakMeter(start=PIXEL)
    meter.add(3 * PIXEL, np.full(PIXEL, 512, np.int16))
    assert meter.peaks(until=5 * PIXEL).tolist() == [[0, 0], [0, 0], [2, 2], [0, 0]]


def test_pairs_are_handed_out_once_at_a_cut() -> None:
    meter = PeakMeter()
    meter.add(0, np.full(PIXEL + 10, 512, np.int16))
    assert meter.peaks(until=PIXEL).tolist() == [[2, 2]]
    meter.add(PIXEL + 10, np.full(10, -512, np.int16))
    assert meter.peaks().tolist() == [[-2, 2]]


def test_the_json_form_is_audiowaveforms() -> None:
    read = json.loads(as_json(np.array([[-1, 2], [-3, 4]], np.int8)))
    assert read == {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 2_400,
        "bits": 8,
        "length": 2,
        "data": [-1, 2, -3, 4],
    }


def test_the_binary_form_is_audiowaveforms() -> None:
    dat = as_dat(np.array([[-1, 2]], np.int8))
    assert struct.unpack_from("<iIiiIi", dat) == (2, 1, 48_000, 2_400, 1, 1)
    assert dat[24:] == b"\xff\x02"
