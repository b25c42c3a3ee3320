"""One call: who is in it, by which SSRC, and the messages between them.

Parties are of two kinds, a bot's connection and a member of the script; a room does
not tell them apart. It ends a DAVE transition that somebody is late for.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Protocol

from fakecord.delivery import Delivery, Told
from fakecord.entities import Json
from fakecord.rtp import Rtp

SPEAKING, CLIENTS_CONNECT, CLIENT_CONNECT, CLIENT_DISCONNECT = 5, 11, 12, 13
TRANSITION_S = 3.0
SSRCS = itertools.count(1000)


class Party(Protocol):
    """Somebody in a call."""

    user_id: int
    ssrc: int

    def tell(self, op: int, body: bytes | Json) -> None:
        """A message of the voice gateway; bytes are a binary frame's payload."""

    def hear(self, speaker: Party, packet: Rtp) -> None:
        """A packet that somebody else has sent."""


class Room:
    """The call of one channel. `version` is DAVE's: 0 is plain, as on a stage."""

    def __init__(self, channel_id: int, *, version: int = 1) -> None:
        self.channel_id = channel_id
        self.version = version
        self.parties: dict[int, Party] = {}
        self.muted: set[int] = set()
        """Users whom a moderator has muted: nothing of theirs is passed on."""
        self.deafened: set[int] = set()
        """Users to whom nothing is passed on, by themselves or by a moderator."""
        self.delivery = Delivery(channel_id, tell=self._tell, on_transition=self._watch)

    def enter(self, party: Party) -> None:
        """Somebody comes in; the place it had before, if any, is given up."""
        if before := self.parties.get(party.user_id):
            self.exit(before)
        others = [str(user) for user in self.parties]
        self.parties[party.user_id] = party
        if others:
            party.tell(CLIENTS_CONNECT, {"user_ids": others})
        self.tell_others(party, CLIENTS_CONNECT, {"user_ids": [str(party.user_id)]})
        if self.version:
            self.delivery.join(party.user_id)

    def exit(self, party: Party) -> None:
        if self.parties.get(party.user_id) is not party:
            return
        del self.parties[party.user_id]
        self.tell_others(party, CLIENT_DISCONNECT, {"user_id": str(party.user_id)})
        if self.version:
            self.delivery.leave(party.user_id)

    def tell_others(self, party: Party, op: int, body: Json) -> None:
        for other in list(self.parties.values()):
            if other.user_id != party.user_id:
                other.tell(op, body)

    def say(self, speaker: Party, packet: Rtp) -> None:
        """The packet goes to everybody else who may hear it, once each."""
        if speaker.user_id in self.muted:
            return
        for other in list(self.parties.values()):
            if other.user_id not in self.deafened | {speaker.user_id}:
                other.hear(speaker, packet)

    def heed(self, user_id: int, *, mute: bool, deaf: bool) -> None:
        """What the voice state of a user says."""
        for users, holds in ((self.muted, mute), (self.deafened, deaf)):
            (users.add if holds else users.discard)(user_id)

    def _tell(self, told: Told) -> None:
        if party := self.parties.get(told.user_id):
            party.tell(told.op, told.body)

    def _watch(self, transition: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(TRANSITION_S, self.delivery.execute, transition)
