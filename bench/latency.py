"""From the last spoken sample to the text at a subscriber.

Minus the silence waited for (VAD_SILENCE_MS) and the model's own compute: what is left
is ours. Embedded (SQLite, no Redis) and with Redis. Target: p50 ≤ 150, p95 ≤ 400 ms.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).parent.parent),
    str(Path(__file__).parent.parent / "tests"),
]

import numpy as np
from speech import voices
from stack import Stack, redis_server
from talk import RATE, reading, talk

UTTERANCES = 30
SILENCE_S = 0.8
PAUSE_S = 1.6
COMPUTE = re.compile(r"utterance\.transcribed .*?compute_s=([\d.]+)")


def script() -> tuple[np.ndarray, list[float]]:
    """The sound of all utterances, and where each one's last spoken sample stands."""
    parts, ends, at = [voices.silence(0.5)], [], 0.5
    for phrase in voices.unseen_phrases(UTTERANCES, seed=7, max_words=4):
        spoken = voices.trim(voices.speak(phrase))
        at += len(spoken) / RATE
        ends.append(at)
        parts += [spoken, voices.silence(PAUSE_S)]
        at += PAUSE_S
    return np.concatenate(parts), ends


async def measure(stack: Stack) -> list[float]:
    """Milliseconds of our own, utterance by utterance."""
    pcm, ends = script()
    session = stack.new_session()
    async with reading(session) as viewer:
        sent = await talk(session, pcm)
        await asyncio.sleep(3)
    compute = [float(s) for s in COMPUTE.findall(stack.log("stt"))]
    found = []
    arrivals = [
        (event, at)
        for event, at in zip(viewer.events, viewer.arrivals, strict=True)
        if event["type"] == "utterance"
    ]
    # A dropped or split utterance would shift the pairs: each is matched by its time.
    for (_, arrived), cost in zip(arrivals, compute, strict=True):
        spoken = max(e for e in ends if sent.began_at + e < arrived)
        found.append((arrived - sent.began_at - spoken - SILENCE_S - cost) * 1000)
    return found


def report(name: str, found: list[float]) -> None:
    p50, p95 = np.percentile(found, [50, 95])
    print(
        f"{name:<10} {len(found):3} utterances  p50 {p50:4.0f} ms  p95 {p95:4.0f} ms  "
        f"max {max(found):4.0f} ms"
    )


def main() -> None:
    print("From the last spoken sample to the text, minus 800 ms and the model:")
    with Stack() as stack:
        report("embedded", asyncio.run(measure(stack)))
    with redis_server() as redis, Stack(REDIS_URL=redis) as stack:
        report("with Redis", asyncio.run(measure(stack)))


if __name__ == "__main__":
    main()
