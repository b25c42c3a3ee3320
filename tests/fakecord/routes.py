"""The routes of the account, of commands and interactions, and of members.

A path nobody wrote a route for is 404 with code 0, and stands in the log.
"""

from __future__ import annotations

from typing import Any

from fakecord.channelroutes import ChannelRoutes
from fakecord.entities import Json
from fakecord.failures import Refusal
from fakecord.interactions import Interactions, Refused
from fakecord.paths import ROUTES, Asked, on
from fakecord.world import World

MOVE, NICKNAME = 1 << 24, 1 << 26


class Routes(ChannelRoutes):
    """All routes by method and path."""

    def __init__(self, world: World, interactions: Interactions) -> None:
        super().__init__(world)
        self._interactions = interactions

    def answer(self, asked: Asked) -> Any:
        for method, pattern, handler in ROUTES:
            if method == asked.method and (found := pattern.fullmatch(asked.path)):
                return handler(self, asked, **found.groupdict())
        raise Refused(Refusal(404))

    # who we are

    @on("GET", "/users/@me")
    def get_me(self, asked: Asked) -> Json:
        return self._world.bot.json()

    @on("GET", "/oauth2/applications/@me")
    def get_application(self, asked: Asked) -> Json:
        bot = self._world.bot
        return {
            "id": str(bot.id),
            "name": bot.name,
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": bot.json(),
            "verify_key": "0" * 64,
            "team": None,
            "flags": 0,
        }

    @on("GET", "/gateway")
    def get_gateway(self, asked: Asked) -> Json:
        return {"url": "wss://gateway.discord.gg"}

    @on("GET", "/gateway/bot")
    def get_gateway_bot(self, asked: Asked) -> Json:
        limit = {
            "total": 1000,
            "remaining": 999,
            "reset_after": 0,
            "max_concurrency": 1,
        }
        url = "wss://gateway.discord.gg"
        return {"url": url, "shards": 1, "session_start_limit": limit}

    @on("POST", "/users/@me/channels")
    def open_dm(self, asked: Asked) -> Json:
        """A channel to one user alone."""
        user = self._world.user(int(asked.body["recipient_id"]))
        if user is None:
            raise Refused(Refusal(404, 10013))
        place = self._world.mail.open_dm(user)
        return {"id": str(place), "type": 1, "recipients": [user.json()]}

    # commands and interactions

    @on("GET", "/applications/{app}/commands")
    def get_commands(self, asked: Asked, app: str) -> list[Json]:
        return self._interactions.commands.get(None, [])

    @on("PUT", "/applications/{app}/commands")
    def put_commands(self, asked: Asked, app: str) -> list[Json]:
        return self._register(None, asked.body, app)

    @on("PUT", "/applications/{app}/guilds/{guild}/commands")
    def put_guild_commands(self, asked: Asked, app: str, guild: str) -> list[Json]:
        return self._register(int(guild), asked.body, app)

    def _register(self, guild: int | None, given: list[Json], app: str) -> list[Json]:
        base: Json = {"application_id": app, "version": "1", "type": 1}
        base |= {"default_member_permissions": None, "description": ""}
        if guild is not None:
            base["guild_id"] = str(guild)
        found = [base | {"id": str(self._world.new_id())} | one for one in given]
        self._interactions.commands[guild] = found
        return found

    @on("POST", "/interactions/{id}/{token}/callback")
    def answer_interaction(self, asked: Asked, id: str, token: str) -> Json:  # noqa: A002
        return self._interactions.take_answer(token, asked.body, asked.files)

    @on("POST", "/webhooks/{app}/{token}")
    def follow_up(self, asked: Asked, app: str, token: str) -> Json:
        return self._interactions.follow_up(token, asked.body, asked.files).json()

    @on("GET", "/webhooks/{app}/{token}/messages/{name}")
    def get_answer(self, asked: Asked, app: str, token: str, name: str) -> Json:
        return self._interactions.message(token, name).json()

    @on("PATCH", "/webhooks/{app}/{token}/messages/{name}")
    def edit_answer(self, asked: Asked, app: str, token: str, name: str) -> Json:
        message = self._interactions.message(token, name)
        message.files += asked.files
        self._world.mail.edit(message, asked.body)
        return message.json()

    @on("DELETE", "/webhooks/{app}/{token}/messages/{name}")
    def delete_answer(self, asked: Asked, app: str, token: str, name: str) -> None:
        message = self._interactions.message(token, name)
        # Where it was ephemeral, it stood nowhere.
        self._world.mail.messages.setdefault(message.id, message)
        self._world.mail.delete(message)

    # members

    @on("GET", "/guilds/{guild}/members/{user}")
    def get_member(self, asked: Asked, guild: str, user: str) -> Json:
        return self._member(self._guild(guild), user).json()

    @on("PATCH", "/guilds/{guild}/members/@me")
    def rename_me(self, asked: Asked, guild: str) -> Json:
        me = self._world.me(self._guild(guild, NICKNAME).id)
        self._world.rename(me, asked.body.get("nick"))
        return me.json()

    @on("PATCH", "/guilds/{guild}/members/{user}")
    def move_member(self, asked: Asked, guild: str, user: str) -> Json:
        found = self._guild(guild, MOVE)
        member = self._member(found, user)
        to = asked.body.get("channel_id", "")
        if member.voice is None:
            raise Refused(Refusal(400, 40032))
        if to is None:
            self._world.kick(member)
        elif to:
            self._world.move(member, self._channel(str(to)))
        return member.json()
