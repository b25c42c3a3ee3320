"""The signs that somebody speaks and is not heard."""

from __future__ import annotations

from bot.discord.dave import SILENCE
from bot.discord.hearing import Hearing, Missing

ADA, BEN = 1, 2
SOUND = b"sound"


def test_a_talk_that_comes_to_its_end_misses_nothing() -> None:
    hearing = Hearing()
    hearing.announced(ADA, now_s=10.0)
    hearing.heard(ADA, SOUND, now_s=10.1)
    hearing.heard(ADA, SILENCE, now_s=12.0)
    assert hearing.missing(now_s=100.0) is None


def test_before_anybody_speaks_nothing_is_missing() -> None:
    assert Hearing().missing(now_s=100.0) is None


def test_who_is_announced_and_never_comes_is_missing() -> None:
    hearing = Hearing()
    hearing.heard(BEN, SILENCE, now_s=5.0)
    hearing.announced(ADA, now_s=10.0)
    assert hearing.missing(now_s=21.0) == Missing(ADA, 10.0)


def test_sound_that_is_faster_than_its_name_is_not_missing() -> None:
    """They go by different roads."""
    hearing = Hearing()
    hearing.heard(ADA, SOUND, now_s=9.9)
    hearing.heard(ADA, SILENCE, now_s=9.95)
    hearing.announced(ADA, now_s=10.0)
    assert hearing.missing(now_s=21.0) is None


def test_who_breaks_off_in_the_middle_of_a_word_is_missing() -> None:
    hearing = Hearing()
    hearing.heard(ADA, SOUND, now_s=10.0)
    assert hearing.missing(now_s=21.0) == Missing(ADA, 10.0)


def test_packets_that_do_not_open_are_missing_sound_of_anybody() -> None:
    hearing = Hearing()
    hearing.lost(now_s=10.0)
    hearing.heard(ADA, SILENCE, now_s=12.0)  # readable whatever the keys
    hearing.lost(now_s=20.0)
    assert hearing.missing(now_s=21.0) == Missing(None, 10.0)


def test_packets_that_did_not_open_are_forgotten_with_the_first_that_does() -> None:
    hearing = Hearing()
    hearing.lost(now_s=10.0)
    hearing.heard(ADA, SOUND, now_s=10.5)
    hearing.heard(ADA, SILENCE, now_s=11.0)
    assert hearing.missing(now_s=21.0) is None


def test_packets_that_no_longer_come_are_not_missing() -> None:
    hearing = Hearing()
    hearing.lost(now_s=10.0)
    assert hearing.missing(now_s=21.0) is None
