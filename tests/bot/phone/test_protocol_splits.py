"""AudioSocket however TCP cuts it, and whatever comes instead: 100,000 connections."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.phone.protocol import (
    DIGITS,
    RATES,
    Audio,
    Decoder,
    Digit,
    Failed,
    HungUp,
    Identified,
    Message,
    ProtocolError,
    Unknown,
)

SPLITS = 50_000
GARBAGE = 50_000
HELD_MAX = 3 + 65_535
CODES = ("", "no_uuid", "bad_uuid", "second_uuid", "too_long")
SYMBOLS = sorted(DIGITS)
NOISE = random.Random(1).randbytes(100_000)
UNKNOWN = sorted(set(range(256)) - {0x00, 0x01, 0x03, 0xFF} - set(RATES))

Outcome = tuple[list[Message], str]
"""What was read, and the code of the error behind it, or nothing."""


def message(kind: int, payload: bytes) -> bytes:
    return kind.to_bytes(1) + len(payload).to_bytes(2) + payload


def noise(chance: random.Random, size: int) -> bytes:
    at = chance.randrange(len(NOISE) - size)
    return NOISE[at : at + size]


def said(chance: random.Random) -> tuple[bytes, Message | None]:
    """A message behind the UUID, and what it means."""
    dice = chance.random()
    if dice < 0.8:
        kind = 0x10 if dice < 0.6 else chance.choice(list(RATES))
        size = 320 if dice < 0.4 else chance.randrange(1_000)
        pcm = noise(chance, size)
        heard = Audio(pcm[: size & ~1], RATES[kind]) if size > 1 else None
        return message(kind, pcm), heard
    if dice < 0.9:
        symbol = chance.choice(SYMBOLS)
        return message(0x03, symbol.encode()), Digit(symbol)
    if dice < 0.98:
        kind = chance.choice(UNKNOWN)
        return message(kind, noise(chance, chance.randrange(700))), Unknown(kind)
    code = noise(chance, chance.randrange(65))
    return message(0xFF, code), Failed(code)


POOL = [said(chance) for chance in [random.Random(2)] for _ in range(2_000)]
CALLS = [UUID(int=number) for number in range(100)]


def call(chance: random.Random) -> tuple[bytes, list[Message]]:
    """A call's bytes and their meaning."""
    uuid = chance.choice(CALLS)
    stream, heard = message(0x01, uuid.bytes), [Identified(uuid)]
    talk = chance.choices(POOL, k=chance.randrange(5))
    if chance.random() < 0.2:
        talk.append((message(0x00, b""), HungUp()))
    stream += b"".join([data for data, _ in talk])
    return stream, heard + [one for _, one in talk if one is not None]


def spoilt(chance: random.Random, stream: bytes) -> bytes:
    """Bytes that are wrong somewhere, or from the beginning."""
    dice = chance.random()
    if dice < 0.2:
        return noise(chance, chance.randrange(200))
    at = chance.randrange(len(stream))
    if dice < 0.5:
        return stream[:at] + noise(chance, chance.randrange(1, 9)) + stream[at:]
    if dice < 0.7:
        return stream[:at] + stream[at + chance.randrange(1, 9) :]
    wrong = bytearray(stream)
    for _ in range(chance.randrange(1, 6)):
        wrong[min(int(chance.expovariate(0.02)), len(wrong) - 1)] ^= chance.randrange(
            1, 256
        )
    return bytes(wrong)


def pieces(chance: random.Random, stream: bytes) -> Iterator[bytes]:
    """The stream in segments of 1 to 2,440 bytes, every length of size as often."""
    at = 0
    while at < len(stream):
        size = int(math.exp(chance.uniform(0, 7.8)))
        yield stream[at : at + size]
        at += size


def outcome(segments: Iterator[bytes]) -> Outcome:
    """What a server is told of a connection; held bytes stay within one message."""
    decoder, heard = Decoder(), []
    for segment in segments:
        try:
            heard += decoder.feed(segment)
        except ProtocolError as e:
            return heard + e.before, e.code
        assert decoder.held < HELD_MAX
    return heard, ""


def test_a_call_is_the_same_however_it_is_cut() -> None:
    chance = random.Random(4)
    for number in range(SPLITS):
        stream, meant = call(chance)
        assert outcome(pieces(chance, stream)) == (meant, ""), number


def test_garbage_is_told_or_passed_over_the_same_however_it_is_cut() -> None:
    chance = random.Random(5)
    refused = 0
    for number in range(GARBAGE):
        stream = spoilt(chance, call(chance)[0])
        whole = outcome(iter((stream,)))
        assert outcome(pieces(chance, stream)) == whole, number
        assert whole[1] in CODES
        refused += bool(whole[1])
    assert refused > GARBAGE / 10


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=200), st.booleans(), st.lists(st.integers(0, 250)))
def test_any_bytes_are_the_same_however_they_are_cut(
    data: bytes, greeted: bool, cuts: list[int]
) -> None:
    stream = (message(0x01, bytes(16)) if greeted else b"") + data
    edges = [0, *sorted(cuts), len(stream)]
    cut = (stream[a:b] for a, b in pairwise(edges))
    assert outcome(cut) == outcome(iter((stream,)))
