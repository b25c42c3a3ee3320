"""Datagrams to named packets: at a connection that is only looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord_packets import (
    ADA,
    BEN,
    CLEO,
    KEY,
    Packet,
    Session,
    sealed_datagram,
    sealed_media,
)

from bot.discord.dave import FAILURES_MAX
from bot.discord.linking.connection import NEEDED
from bot.discord.receive import UNCLAIMED_MAX, UNCLAIMED_SSRCS, Heard, Receiver
from bot.discord.rtp import XCHACHA20

US = 99


class Scene:
    """A call with Ada, Ben, Cleo and the bot."""

    def __init__(self, session: Session | None = None) -> None:
        self.heard: list[Heard] = []
        self.opted_out: set[int] = set()
        self.breaks = 0
        self.channel = SimpleNamespace(voice_states=dict.fromkeys((US, ADA, BEN, CLEO)))
        self.connection = SimpleNamespace(
            mode=XCHACHA20,
            secret_key=list(KEY),
            dave_session=session,
            dave_protocol_version=1 if session else 0,
            user=SimpleNamespace(id=US),
            voice_client=SimpleNamespace(channel=self.channel),
        )
        self.receiver = Receiver(
            cast("Any", self.connection),
            sink=self.heard.append,
            accepts=lambda user: user not in self.opted_out,
            broken=self._broke,
        )

    def _broke(self) -> None:
        self.breaks += 1

    def says(self, ssrc: int, media: bytes, *, sequence: int = 1) -> None:
        packet = Packet(media, ssrc=ssrc, sequence=sequence, padding=2, extension=1)
        self.receiver.datagram(sealed_datagram(packet))

    def gateway(self, op: int, **said: Any) -> None:
        self.receiver.told({"op": op, "d": said})

    @property
    def said(self) -> list[tuple[int, bytes]]:
        return [(one.user, one.opus) for one in self.heard]


def test_what_a_known_speaker_says_has_their_name() -> None:
    scene = Scene(Session(ADA, BEN))
    scene.gateway(5, user_id=str(ADA), ssrc=1, speaking=1)
    scene.gateway(12, user_id=str(BEN), audio_ssrc=2, video_ssrc=0)
    scene.says(1, sealed_media(ADA, b"hello"), sequence=7)
    scene.says(2, sealed_media(BEN, b"there"))
    assert scene.said == [(ADA, b"hello"), (BEN, b"there")]
    assert (scene.heard[0].ssrc, scene.heard[0].sequence) == (1, 7)


def test_a_speaker_nobody_named_is_known_by_their_key() -> None:
    scene = Scene(Session(ADA, BEN, CLEO))
    scene.gateway(5, user_id=str(ADA), ssrc=1)
    scene.says(3, sealed_media(CLEO, b"hello"))
    scene.says(3, b"\xf8\xff\xfe")
    assert scene.said == [(CLEO, b"hello"), (CLEO, b"\xf8\xff\xfe")]


def test_what_comes_before_the_name_is_kept_for_it() -> None:
    """On a stage nothing is encrypted, and no key tells who speaks."""
    scene = Scene()
    for number in range(UNCLAIMED_MAX + 5):
        scene.says(1, bytes([number, 1]), sequence=number)
    assert not scene.heard
    scene.gateway(5, user_id=str(BEN), ssrc=1)
    scene.says(1, b"now", sequence=99)
    assert [one.sequence for one in scene.heard] == [*range(5, UNCLAIMED_MAX + 5), 99]
    assert {one.user for one in scene.heard} == {BEN}


def test_what_waited_and_does_not_open_is_no_sign_of_broken_keys() -> None:
    """It was said before we came, to a group without us. Were it taken for one, the
    group would be asked to take us in anew, and all would be unheard meanwhile."""
    scene = Scene(Session(BEN))
    for number in range(UNCLAIMED_MAX):
        scene.says(1, sealed_media(CLEO, bytes([number])), sequence=number)
    scene.gateway(5, user_id=str(BEN), ssrc=1)
    scene.says(1, sealed_media(BEN, b"now"), sequence=99)
    assert scene.said == [(BEN, b"now")]
    assert not scene.breaks
    for number in range(FAILURES_MAX + 1):
        scene.says(1, sealed_media(CLEO, bytes([number])), sequence=100 + number)
    assert scene.breaks == 1


def test_a_flood_of_strangers_takes_no_memory() -> None:
    scene = Scene()
    for ssrc in range(1, 1000):
        scene.says(ssrc, b"x")
    assert len(scene.receiver._unclaimed) == UNCLAIMED_SSRCS


def test_neither_our_echo_nor_who_opted_out_is_kept() -> None:
    scene = Scene()
    scene.opted_out = {ADA}
    for user, ssrc in ((US, 1), (ADA, 2), (BEN, 3)):
        scene.gateway(5, user_id=str(user), ssrc=ssrc)
        scene.says(ssrc, b"hello")
    assert scene.said == [(BEN, b"hello")]
    assert scene.receiver.traffic.refused == 2


def test_who_left_is_nobody_until_they_are_named_again() -> None:
    scene = Scene(Session(ADA, BEN))
    scene.gateway(5, user_id=str(ADA), ssrc=1)
    scene.gateway(13, user_id=str(ADA))
    scene.says(1, sealed_media(BEN, b"hello"))
    assert scene.said == [(BEN, b"hello")]


def test_a_new_connection_has_new_keys_and_names() -> None:
    scene = Scene()
    scene.gateway(5, user_id=str(ADA), ssrc=1)
    scene.connection.secret_key = list(KEY[::-1])
    scene.gateway(4, mode=XCHACHA20)
    scene.says(1, b"old")
    assert scene.receiver.traffic.transport_failed == 1
    scene.receiver.datagram(sealed_datagram(Packet(b"new", ssrc=1), key=KEY[::-1]))
    assert scene.receiver.traffic.unclaimed == 1
    assert not scene.heard


def test_before_there_is_a_key_nothing_is_heard() -> None:
    scene = Scene()
    scene.connection.secret_key = discord.utils.MISSING
    scene.says(1, b"hello")
    assert scene.receiver.traffic.packets == 0


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
def test_this_release_of_discord_py_has_what_we_need_of_it(kind: type) -> None:
    missing = [name for name in NEEDED[kind] if not hasattr(kind, name)]
    assert not missing, (
        f"discord.py {discord.__version__} moved {missing}: see connection.py"
    )
