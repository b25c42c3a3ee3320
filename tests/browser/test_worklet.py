"""The worklet's filter, measured in a browser: what passes, what does not, how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

RENDER = """
async ({ rate, hertz, length }) => {
  const context = new OfflineAudioContext(1, length, rate);
  await context.audioWorklet.addModule("/static/parley/worklet.js");
  const node = new AudioWorkletNode(context, "parley-microphone");
  const frames = [];
  const last = new Promise((resolve) => {
    node.port.onmessage = ({ data }) => {
      frames.push(data);
      if (data.last) resolve();
    };
  });
  const tone = new OscillatorNode(context, { frequency: hertz });
  const half = new GainNode(context, { gain: 0.5 });
  tone.connect(half).connect(node).connect(context.destination);
  tone.start();
  await context.startRendering();
  node.port.postMessage("stop");
  await last;
  return frames.map(({ pcm, peak, rms }) => (
    { pcm: Array.from(new Int16Array(pcm)), peak, rms }
  ));
}
"""


async def heard(
    page: Page, *, rate: int, hertz: float, length: int
) -> list[dict[str, Any]]:
    asked = {"rate": rate, "hertz": hertz, "length": length}
    frames: list[dict[str, Any]] = await page.evaluate(RENDER, asked)
    return frames


def joined(frames: list[dict[str, Any]]) -> NDArray[np.float64]:
    return np.concatenate([frame["pcm"] for frame in frames]) / 32767


def decibels(sound: NDArray[np.float64]) -> float:
    """Against the tone that went in: a sine of amplitude 0.5."""
    middle = sound[2000:-2000]
    rms = float(np.sqrt(np.mean(middle**2)))
    return 20 * float(np.log10(max(rms, 1e-9) / (0.5 / np.sqrt(2))))


@pytest.mark.parametrize("rate", [48_000, 44_100, 96_000, 16_000])
async def test_it_passes_speech_at_its_right_pitch(blank: Page, rate: int) -> None:
    frames = await heard(blank, rate=rate, hertz=1000, length=rate)
    sound = joined(frames)
    assert abs(decibels(sound)) < 0.5
    spectrum = np.abs(np.fft.rfft(sound[:16_000] * np.hanning(16_000)))
    assert int(np.argmax(spectrum)) == 1000


@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("hertz", [8100, 10_000, 15_000])
async def test_it_folds_nothing_back(blank: Page, rate: int, hertz: float) -> None:
    assert (
        decibels(joined(await heard(blank, rate=rate, hertz=hertz, length=rate))) < -60
    )


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_it_keeps_high_consonants(blank: Page, rate: int) -> None:
    sound = joined(await heard(blank, rate=rate, hertz=6900, length=rate))
    assert abs(decibels(sound)) < 0.5


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050])
async def test_it_gives_as_many_samples_as_time_passed(blank: Page, rate: int) -> None:
    length = 128 * 1000
    frames = await heard(blank, rate=rate, hertz=440, length=length)
    assert [len(f["pcm"]) for f in frames[:-1]] == [480] * (len(frames) - 1)
    assert len(joined(frames)) == -(-length * 16_000 // rate)


async def test_it_tells_how_loud_it_is(blank: Page) -> None:
    frames = await heard(blank, rate=48_000, hertz=1000, length=48_000)
    middle = frames[len(frames) // 2]
    assert middle["peak"] == pytest.approx(0.5, abs=0.01)
    assert middle["rms"] == pytest.approx(0.3535, abs=0.01)


async def test_it_has_no_seam_between_blocks(blank: Page) -> None:
    """One block of a whole second and blocks of any size give the same samples."""
    same = await blank.evaluate(
        """async () => {
          const { Resampler } = await import("/static/parley/resampler.js");
          const sound = Float32Array.from({ length: 44100 }, () => Math.random() - 0.5);
          const run = (sizes) => {
            const [resampler, out] = [new Resampler(44100, 16000), []];
            for (let at = 0, i = 0; at < sound.length; at += sizes[i % 3], i += 1)
              resampler.push(sound.subarray(at, at + sizes[i % 3]), (s) => out.push(s));
            resampler.flush((s) => out.push(s));
            return out;
          };
          const [whole, pieces] = [run([44100, 1, 1]), run([128, 1, 977])];
          return whole.length === 16000 && whole.every((s, i) => s === pieces[i]);
        }"""
    )
    assert same
