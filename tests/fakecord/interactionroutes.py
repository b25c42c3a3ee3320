"""The routes of commands, and of the answers to interactions."""

from __future__ import annotations

from fakecord.commands import check_commands
from fakecord.entities import Json
from fakecord.forms import check_message
from fakecord.paths import Asked, Paths, on


class InteractionRoutes(Paths):
    """Each a few lines on the interactions; JSON comes back, or None for 204."""

    @on("GET", "/applications/{app}/commands")
    def get_commands(self, asked: Asked, app: str) -> list[Json]:
        return self._interactions.commands.get(None, [])

    @on("PUT", "/applications/{app}/commands")
    def put_commands(self, asked: Asked, app: str) -> list[Json]:
        return self._register(None, asked.body, app)

    @on("GET", "/applications/{app}/guilds/{guild}/commands")
    def get_guild_commands(self, asked: Asked, app: str, guild: str) -> list[Json]:
        return self._interactions.commands.get(self._guild(guild).id, [])

    @on("PUT", "/applications/{app}/guilds/{guild}/commands")
    def put_guild_commands(self, asked: Asked, app: str, guild: str) -> list[Json]:
        return self._register(self._guild(guild).id, asked.body, app)

    def _register(self, guild: int | None, given: list[Json], app: str) -> list[Json]:
        """All commands there are from now on. Known names keep their ids."""
        check_commands(given)
        kept = {c["name"]: c["id"] for c in self._interactions.commands.get(guild, ())}
        base: Json = {"application_id": app, "version": "1", "type": 1}
        base |= {"default_member_permissions": None, "description": ""}
        if guild is not None:
            base["guild_id"] = str(guild)
        found = [
            base | {"id": kept.get(one["name"]) or str(self._world.new_id())} | one
            for one in given
        ]
        self._interactions.commands[guild] = found
        return found

    @on("POST", "/interactions/{id}/{token}/callback")
    def answer_interaction(self, asked: Asked, id: str, token: str) -> Json:  # noqa: A002
        if asked.body["type"] == 4:  # the others may be empty
            check_message(asked.body.get("data") or {}, asked.sizes)
        return self._interactions.take_answer(token, asked.body, asked.files)

    @on("POST", "/webhooks/{app}/{token}")
    def follow_up(self, asked: Asked, app: str, token: str) -> Json:
        check_message(asked.body, asked.sizes)
        return self._interactions.follow_up(token, asked.body, asked.files).json()

    @on("GET", "/webhooks/{app}/{token}/messages/{name}")
    def get_answer(self, asked: Asked, app: str, token: str, name: str) -> Json:
        return self._interactions.message(token, name).json()

    @on("PATCH", "/webhooks/{app}/{token}/messages/{name}")
    def edit_answer(self, asked: Asked, app: str, token: str, name: str) -> Json:
        message = self._interactions.message(token, name)
        check_message(asked.body, asked.sizes, edited=True)
        self._world.mail.edit(message, asked.body, asked.files)
        return message.json()

    @on("DELETE", "/webhooks/{app}/{token}/messages/{name}")
    def delete_answer(self, asked: Asked, app: str, token: str, name: str) -> None:
        self._interactions.delete(token, name)
