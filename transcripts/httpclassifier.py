"""The classifier of tones beside us, over HTTP.

The sidecar gets `POST {url}/classify` with `{"session", "participant", "timestamp_ms",
"duration_ms", "rate", "encoding": "pcm_s16le", "audio": base64}` and answers
`{"label", "confidence"}`, or several of them as `{"tones": [...]}`.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import aiohttp
import structlog

from sessions.capture.sinks import Track
from transcripts.pieces import Piece, Tone

log = structlog.get_logger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=5.0, connect=2.0)
MAX_ANSWER_BYTES = 64 * 1024
MAX_LABEL = 40
MAX_TONES = 8

_unwell: set[str] = set()
"""The sidecars that did not answer well when asked last."""


class HttpClassifier:
    """One track's connection to the sidecar. Sends ids, no names."""

    def __init__(self, url: str, *, track: Track) -> None:
        self._url = url
        self._track = track
        self._client: aiohttp.ClientSession | None = None

    async def classify(self, piece: Piece) -> list[Tone]:
        try:
            answer = await self._post(self._question(piece))
            tones = parse(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as e:
            self._note(well=False, error=type(e).__name__)
            return []
        self._note(well=True)
        return tones

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _post(self, question: dict[str, Any]) -> bytes:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=TIMEOUT)
        # Sound goes where the settings say, and nowhere an answer points to.
        request = self._client.post(self._url, json=question, allow_redirects=False)
        async with request as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ValueError("answer too long")
            return bytes(answer)

    def _question(self, piece: Piece) -> dict[str, Any]:
        return {
            "session": str(self._track.session_public_id),
            "participant": str(self._track.participant_public_id),
            "timestamp_ms": piece.start_ms,
            "duration_ms": piece.end_ms - piece.start_ms,
            "rate": piece.rate,
            "encoding": "pcm_s16le",
            "audio": base64.b64encode(piece.pcm.astype("<i2").tobytes()).decode(),
        }

    def _note(self, *, well: bool, error: str = "") -> None:
        """Log a change of health, and only that."""
        if well and self._url in _unwell:
            _unwell.discard(self._url)
            log.info("tones.classifier_back")
        elif not well and self._url not in _unwell:
            _unwell.add(self._url)
            log.warning("tones.classifier_unwell", error=error)


def parse(answer: bytes) -> list[Tone]:
    """The sidecar's answer. Raises ValueError when it makes no sense."""
    try:
        found = json.loads(answer)
    except RecursionError as e:
        raise ValueError("nested without end") from e
    if isinstance(found, dict) and "tones" in found:
        found = found["tones"]
    items = found if isinstance(found, list) else [found]
    return [_tone(item) for item in items[:MAX_TONES]]


def _tone(item: Any) -> Tone:
    if not isinstance(item, dict):
        raise ValueError("not an object")
    label, confidence = item.get("label"), item.get("confidence")
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        raise ValueError("no label")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise ValueError("no confidence")
    if not (math.isfinite(confidence) and 0 <= confidence <= 1):
        raise ValueError("confidence out of range")
    return Tone(label.strip()[:MAX_LABEL], float(confidence))
