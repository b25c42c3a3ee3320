"""SSRCs and their users."""

from __future__ import annotations

from bot.discord.speakers import Speakers

ADA, BEN, CLEO = 11, 22, 33


def test_an_ssrc_is_its_last_users() -> None:
    speakers = Speakers()
    speakers.told(user=ADA, ssrc=1)
    speakers.told(user=BEN, ssrc=2)
    assert (speakers.user(1), speakers.user(2), speakers.user(3)) == (ADA, BEN, None)
    speakers.told(user=BEN, ssrc=1)
    assert (speakers.user(1), speakers.user(2)) == (BEN, None)


def test_who_left_has_none_and_may_come_back_with_another() -> None:
    speakers = Speakers()
    speakers.told(user=ADA, ssrc=1)
    speakers.left(ADA)
    speakers.left(BEN)
    assert speakers.user(1) is None
    speakers.told(user=ADA, ssrc=9)
    assert speakers.user(9) == ADA


def test_one_without_an_ssrc_may_be_the_sender() -> None:
    speakers = Speakers()
    speakers.told(user=ADA, ssrc=1)
    assert speakers.without([ADA, BEN, CLEO]) == [BEN, CLEO]
    speakers.clear()
    assert speakers.without([ADA, BEN]) == [ADA, BEN]


def test_nobody_is_no_speaker() -> None:
    speakers = Speakers()
    speakers.told(user=0, ssrc=1)
    speakers.told(user=ADA, ssrc=0)
    assert speakers.user(1) is speakers.user(0) is None
