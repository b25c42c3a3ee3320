"""What opens and what does not: with a session that keeps davey's promises."""

from __future__ import annotations

import pytest
from davey import DaveSession, MediaType
from discord_packets import ADA, BEN, CLEO, Session, sealed_media

from bot.discord.dave import FAILURES_MAX, SILENCE, Keys, Unsealing


class Scene:
    def __init__(self, session: Session | None, version: int = 1) -> None:
        self.keys = Keys(session, version)
        self.breaks = 0
        self.unsealing = Unsealing(lambda: self.keys, broken=self._broke)

    def _broke(self) -> None:
        self.breaks += 1


def test_a_members_frame_opens_once() -> None:
    scene = Scene(Session(ADA, BEN))
    assert scene.unsealing.opus(ADA, sealed_media(ADA, b"opus")) == b"opus"
    assert scene.unsealing.opus(ADA, sealed_media(ADA, b"opus")) is None
    assert scene.unsealing.opus(CLEO, sealed_media(CLEO, b"opus")) is None
    assert (scene.unsealing.counts.opened, scene.unsealing.counts.failed) == (1, 2)


def test_silence_and_a_stage_are_plain() -> None:
    assert Scene(Session(ADA)).unsealing.opus(ADA, SILENCE) == SILENCE
    assert Scene(None).unsealing.opus(ADA, b"opus") == b"opus"
    stage = Scene(Session(ADA), version=0)
    assert stage.unsealing.opus(ADA, b"opus") == b"opus"
    assert stage.unsealing.opus(ADA, sealed_media(ADA, b"opus")) == b"opus"


def test_what_comes_before_our_keys_is_no_fault() -> None:
    scene = Scene(Session(ADA, ready=False))
    for number in range(FAILURES_MAX + 5):
        assert scene.unsealing.opus(ADA, sealed_media(ADA, bytes([number]))) is None
    assert scene.unsealing.counts.unready == FAILURES_MAX + 5
    assert not scene.breaks


def test_many_failures_in_a_row_are_told_once_until_it_is_mended() -> None:
    scene = Scene(Session(ADA))
    fail = sealed_media(BEN, b"opus")
    for number in range(3):
        for _ in range(FAILURES_MAX):
            scene.unsealing.opus(BEN, fail)
        assert scene.unsealing.opus(ADA, sealed_media(ADA, bytes([number])))
    assert not scene.breaks
    for _ in range(3 * FAILURES_MAX):
        scene.unsealing.opus(BEN, fail)
    assert scene.breaks == 1
    scene.unsealing.mended()
    for _ in range(FAILURES_MAX + 1):
        scene.unsealing.opus(BEN, fail)
    assert scene.breaks == 2


def test_the_one_whose_key_fits_is_the_sender() -> None:
    scene = Scene(Session(ADA, BEN, CLEO))
    assert scene.unsealing.sender([ADA, CLEO], sealed_media(CLEO, b"op")) == (
        CLEO,
        b"op",
    )
    assert scene.unsealing.sender([ADA, BEN], sealed_media(CLEO, b"us")) is None
    assert not scene.unsealing.counts.failed


@pytest.mark.parametrize("media", [SILENCE, b"opus"])
def test_what_is_plain_names_nobody(media: bytes) -> None:
    version = 1 if media == SILENCE else 0
    assert Scene(Session(ADA), version).unsealing.sender([ADA], media) is None


def test_daveys_own_session_has_what_is_used() -> None:
    session = DaveSession(1, ADA, 5)
    assert not session.ready
    with pytest.raises(ValueError, match="Decrypt"):
        session.decrypt(BEN, MediaType.audio, sealed_media(BEN, b"opus"))
