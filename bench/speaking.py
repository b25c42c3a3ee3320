"""What it takes to say something with espeak-ng: until the first sound, and in all.

`--rounds 200` is the full size. Every text is new, so nothing comes from what is kept;
the last lines tell of what is, and of many who speak at once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import aclosing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.voice.tts.espeak import Espeak
from bot.voice.tts.speaker import Speaker

TEXTS = {
    "uk": "Ви ще на лінії? Це виклик номер {}, його записують.",
    "en": "Are you still there? This is call number {}, and it is recorded.",
    "de": "Sind Sie noch da? Das ist Anruf Nummer {}, er wird aufgezeichnet.",
}
CALLS = 100


async def say(speaker: Speaker, text: str, *, rate: int, language: str) -> list[float]:
    """Seconds until the first sound and until all of it, and seconds of sound."""
    begun, first, samples = time.perf_counter(), 0.0, 0
    async with aclosing(speaker.speak(text, rate=rate, language=language)) as pieces:
        async for pcm in pieces:
            first = first or time.perf_counter() - begun
            samples += len(pcm)
    return [first, time.perf_counter() - begun, samples / rate]


async def bench(rounds: int) -> None:
    speaker = Speaker(Espeak())
    for rate in (8000, 48_000):
        for language, text in TEXTS.items():
            await say(speaker, "1", rate=rate, language=language)
            used = time.process_time()
            said = [
                await say(speaker, text.format(n), rate=rate, language=language)
                for n in range(rounds)
            ]
            used = time.process_time() - used
            firsts = sorted(first for first, _, _ in said)
            seconds = sum(one[2] for one in said)
            print(
                f"{language} at {rate:5} Hz: first sound after"
                f" {1000 * statistics.median(firsts):5.1f} ms"
                f" (p99 {1000 * firsts[int(0.99 * len(firsts))]:5.1f}),"
                f" {1000 * used / seconds:.2f} ms of CPU for a second of speech"
            )
    text = TEXTS["uk"]
    await speaker.prepare([text], rate=8000, language="uk")
    kept = await say(speaker, text, rate=8000, language="uk")
    print(f"what is kept: {1000 * kept[0]:.2f} ms")
    asked = (
        say(speaker, f"{n} {text}", rate=8000, language="uk") for n in range(CALLS)
    )
    firsts = sorted(one[0] for one in await asyncio.gather(*asked))
    print(
        f"{CALLS} at once: first sound after {1000 * statistics.median(firsts):.0f} ms,"
        f" the last after {1000 * firsts[-1]:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    asyncio.run(bench(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
