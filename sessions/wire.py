"""The browser's audio protocol, without I/O: addresses, messages, close codes.

`docs/protocols.md` describes it byte by byte.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import parse_qs

from sessions.audio.frames import PCM_RATES
from sessions.errors import VoiceError

FRAME_MAX_BYTES = 64 * 1024
TEXT_MAX_CHARS = 4096
SKIP_MAX_S = 24 * 3600
CONSENT = re.compile(r"[A-Za-z0-9.-]{1,40}")


class Close(IntEnum):
    """Why the server closed a WebSocket."""

    DONE = 1000
    FAULT = 1011
    RESTARTING = 1012
    BAD_ADDRESS = 4000
    SIGNED_OUT = 4003
    NOT_FOUND = 4004
    FLOOD = 4008
    BAD_FRAME = 4009
    ENDED = 4010
    REPLACED = 4011
    NO_CONSENT = 4012
    OPTED_OUT = 4013
    CROWDED = 4014
    FULL = 4015


CLOSE_BY_ERROR = {
    "not_allowed": Close.SIGNED_OUT,
    "not_found": Close.NOT_FOUND,
    "ended": Close.ENDED,
    "bad_address": Close.BAD_ADDRESS,
    "bad_frame": Close.BAD_FRAME,
    "flood": Close.FLOOD,
    "crowded": Close.CROWDED,
    "full": Close.FULL,
    "no_consent": Close.NO_CONSENT,
    "opted_out": Close.OPTED_OUT,
}


class WireError(VoiceError):
    """What came over the wire is not the protocol."""


@dataclass(frozen=True, slots=True)
class AudioAddress:
    """What the query of an audio WebSocket says."""

    token: str
    name: str
    rate: int
    stream: uuid.UUID | None
    consent: str = ""
    """To which text its person agreed; "" if they did not."""


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A control message: `ping`, `stop` or `skip` with its samples."""

    type: str
    samples: int = 0


def query_of(raw: bytes) -> dict[str, str]:
    """The first value of each name in a query string; bad UTF-8 is replaced."""
    try:
        text = raw.decode("utf-8", "replace")
        return {k: v[0] for k, v in parse_qs(text, max_num_fields=20).items()}
    except ValueError as e:
        raise WireError("bad_address", "The address has too many parts.") from e


def audio_address(raw: bytes) -> AudioAddress:
    """Parse an audio WebSocket's query. Raises WireError `bad_address`."""
    query = query_of(raw)
    rates = [str(rate) for rate in PCM_RATES]
    if (rate := query.get("rate", "16000")) not in rates:
        raise WireError("bad_address", f"rate must be one of {', '.join(rates)}.")
    stream = None
    if "stream" in query:
        try:
            stream = uuid.UUID(query["stream"])
        except ValueError as e:
            raise WireError("bad_address", "stream must be a UUID.") from e
    token, name, said = (query.get(one, "") for one in ("token", "name", "consent"))
    return AudioAddress(token, name, int(rate), stream, _agreed(said))


def _agreed(said: str) -> str:
    """The text they agreed to, as `consent` names them. Raises WireError."""
    if not said or said.lower() in ("false", "0"):
        return ""
    if CONSENT.fullmatch(said) is None:
        message = "consent must be true, or the version of the text agreed to."
        raise WireError("bad_address", message)
    return said


def after_of(raw: bytes) -> tuple[str, int]:
    """The token and the last seen sequence number of a viewer's query."""
    query = query_of(raw)
    return query.get("token", ""), sequence(query.get("after", "0"))


def sequence(text: str) -> int:
    """A sequence number a viewer names. Raises WireError `bad_address`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise WireError("bad_address", "after must be a sequence number.")
    return int(text)


def check_frame(data: bytes) -> None:
    """Raises WireError `bad_frame` for what cannot be 16-bit sound of sane size."""
    if len(data) > FRAME_MAX_BYTES:
        raise WireError("bad_frame", "A frame is larger than 64 KiB.")
    if len(data) % 2:
        raise WireError("bad_frame", "A frame has an odd number of bytes.")


def text_message(text: str, *, rate: int) -> TextMessage:
    """Parse a control message. Raises WireError `bad_frame`."""
    if len(text) > TEXT_MAX_CHARS:
        raise WireError("bad_frame", "A text message is too long.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise WireError("bad_frame", "A text message is not JSON.") from e
    kind = message.get("type") if isinstance(message, dict) else None
    if kind in ("ping", "stop"):
        return TextMessage(kind)
    if kind == "skip":
        samples = message.get("samples")
        if type(samples) is int and 0 <= samples <= SKIP_MAX_S * rate:
            return TextMessage(kind, samples)
        raise WireError("bad_frame", "skip needs its samples, a whole number.")
    raise WireError("bad_frame", "A text message must be ping, stop or skip.")
