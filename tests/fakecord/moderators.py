"""A member with power over the others: what moderators do to a bot and its channels.

None of it goes over the bot's REST: it hears of each by the gateway alone.
"""

from __future__ import annotations

from fakecord.entities import Channel, Member
from fakecord.people import Person


class Moderator(Person):
    """An administrator of the guild. `whom` is a person, or a member as the bot is."""

    @property
    def bot(self) -> Member:
        """The bot, as a member of this guild."""
        return self._world.me(self.member.guild_id)

    def deletes(self, channel: Channel) -> None:
        """The channel goes, and whoever is in it is out of voice."""
        self._world.delete_channel(channel)

    def renames(self, channel: Channel, name: str) -> None:
        self._world.edit_channel(channel, {"name": name})

    def hides(self, channel: Channel, *but: Person | Member) -> None:
        """Nobody but these sees the channel or gets in; who is inside stays."""
        self._world.hide(channel, *(_member(one) for one in but))

    def disconnects(self, whom: Person | Member) -> None:
        """Out of voice, but not out of the guild."""
        self._world.kick(_member(whom))

    def moves(self, whom: Person | Member, channel: Channel) -> None:
        """Into another voice channel, even one that would not let them in."""
        self._world.move(_member(whom), channel)

    def mutes(self, whom: Person | Member, *, mute: bool = True) -> None:
        """On the server: nobody hears them, until they are unmuted."""
        self._world.mute(_member(whom), mute=mute)

    def deafens(self, whom: Person | Member, *, deaf: bool = True) -> None:
        """On the server: they hear nobody, until they are undeafened."""
        self._world.deafen(_member(whom), deaf=deaf)

    def nicknames(self, whom: Person | Member, nick: str | None) -> None:
        self._world.rename(_member(whom), nick)

    def allows_the_bot(self, permissions: int) -> None:
        """What the bot's role may do from now on."""
        self._world.allow(self._world.guilds[self.member.guild_id], permissions)

    def throws_the_bot_out(self) -> None:
        """The bot is no member of the guild any more."""
        self._world.remove_guild(self._world.guilds[self.member.guild_id])


def _member(whom: Person | Member) -> Member:
    return whom.member if isinstance(whom, Person) else whom
