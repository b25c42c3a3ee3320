"""What the Discord bot says, in the languages of `words/`: a file of texts for each.

Texts only: who is told, where and when is decided elsewhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LANGUAGES: tuple[str, ...] = ("en", "it", "ro", "uk", "ru")
DEFAULT_LANGUAGE = "en"
COMMANDS = "commands"
"""The table of a file that describes commands; all others hold texts."""


class Notice(StrEnum):
    """A text, by its table and key in the files."""

    PANEL_TITLE = "panel.title"
    PANEL_TITLE_UNRECORDED = "panel.title_unrecorded"
    PANEL_TITLE_ENDED = "panel.title_ended"
    PANEL_RECORDED = "panel.recorded"
    PANEL_UNRECORDED = "panel.unrecorded"
    PANEL_SINCE = "panel.since"
    PANEL_KEPT_FOREVER = "panel.kept_forever"
    PANEL_KEPT_DAYS = "panel.kept_days"
    PANEL_ENCRYPTED = "panel.encrypted"
    PANEL_STOP = "panel.stop"
    PANEL_OPTOUT = "panel.optout"
    PANEL_ENDED = "panel.ended"
    PANEL_PAGE = "panel.page"
    PANEL_DEGRADED = "panel.degraded"
    PANEL_DEAFENED = "panel.deafened"

    JOINED_NOTICE = "joined.notice"
    JOINED_UNRECORDED = "joined.unrecorded"

    SPOKEN_START = "spoken.start"
    SPOKEN_UNRECORDED = "spoken.unrecorded"
    SPOKEN_FILLER = "spoken.filler"
    SPOKEN_APOLOGY = "spoken.apology"

    ROOM_READY = "room.ready"
    ROOM_WAITING = "room.waiting"
    ROOM_TURN = "room.turn"
    ROOM_EXPIRED = "room.expired"
    ROOM_LEFT_QUEUE = "room.left_queue"

    RECORD_STARTED = "record.started"
    RECORD_STARTED_UNRECORDED = "record.started_unrecorded"
    RECORD_STOPPED = "record.stopped"
    RECORD_STATUS = "record.status"
    RECORD_NOTHING = "record.nothing"

    SESSIONS_NONE = "sessions.none"
    SESSIONS_TITLE = "sessions.title"

    STATE_WAITING = "state.waiting"
    STATE_ACTIVE = "state.active"
    STATE_FINISHING = "state.finishing"
    STATE_READY = "state.ready"
    STATE_FAILED = "state.failed"

    TRANSCRIPT_EMPTY = "transcript.empty"
    TRANSCRIPT_LINK = "transcript.link"

    DOWNLOAD_LINK = "download.link"
    DOWNLOAD_REBUILDING = "download.rebuilding"

    RECOVER_DONE = "recover.done"
    RECOVER_NONE = "recover.none"

    NOTE_KEPT = "note.kept"

    OPTOUT_DONE = "optout.done"
    OPTOUT_UNDONE = "optout.undone"

    ERASE_CONFIRM = "erase.confirm"
    ERASE_BUTTON = "erase.button"
    ERASE_DONE = "erase.done"
    ERASE_RUNNING = "erase.running"
    ERASE_NOTHING = "erase.nothing"
    ERASE_EXPIRED = "erase.expired"
    ERASE_LATER = "erase.later"
    ERASE_LEFT = "erase.left"
    ERASE_RECEIPT = "erase.receipt"

    PRIVACY_TEXT = "privacy.text"

    HELP_TEXT = "help.text"

    HEALTH_TEXT = "health.text"

    END_DONE = "end.done"

    REASON_STOPPED = "reason.stopped"
    REASON_LEFT = "reason.left"
    REASON_JOIN_TIMEOUT = "reason.join_timeout"
    REASON_INACTIVITY = "reason.inactivity"
    REASON_IDLE = "reason.idle"
    REASON_KICKED = "reason.kicked"
    REASON_CHANNEL_DELETED = "reason.channel_deleted"
    REASON_GUILD_REMOVED = "reason.guild_removed"
    REASON_SHUT_DOWN = "reason.shut_down"
    REASON_CRASHED = "reason.crashed"
    REASON_DISCONNECTED = "reason.disconnected"
    REASON_MODERATOR = "reason.moderator"
    REASON_REQUESTED = "reason.requested"
    REASON_RECOVERED = "reason.recovered"
    REASON_ENDED = "reason.ended"

    ERROR_NOT_IN_VOICE = "error.not_in_voice"
    ERROR_NOT_IN_GUILD = "error.not_in_guild"
    ERROR_DISABLED = "error.disabled"
    ERROR_MISSING_PERMISSIONS = "error.missing_permissions"
    ERROR_NICKNAME_REFUSED = "error.nickname_refused"
    ERROR_ALREADY_WAITING = "error.already_waiting"
    ERROR_ALREADY_HERE = "error.already_here"
    ERROR_CHANNEL_FULL = "error.channel_full"
    ERROR_CONNECT_FAILED = "error.connect_failed"
    ERROR_TOO_MANY_CHANNELS = "error.too_many_channels"
    ERROR_DISCORD_BUSY = "error.discord_busy"
    ERROR_DISCORD_FAILED = "error.discord_failed"
    ERROR_NOT_FOUND = "error.not_found"
    ERROR_NOT_YOURS = "error.not_yours"
    ERROR_NOT_READY = "error.not_ready"
    ERROR_ENDED = "error.ended"
    ERROR_MANAGERS_ONLY = "error.managers_only"
    ERROR_COOLDOWN = "error.cooldown"
    ERROR_BAD_ID = "error.bad_id"
    ERROR_TOO_LONG = "error.too_long"
    ERROR_RUNNING = "error.running"
    ERROR_NOT_RECORDED = "error.not_recorded"
    ERROR_NO_STORAGE = "error.no_storage"
    ERROR_UNKNOWN = "error.unknown"

    PERM_VIEW_CHANNEL = "perm.view_channel"
    PERM_CONNECT = "perm.connect"
    PERM_SPEAK = "perm.speak"
    PERM_SEND_MESSAGES = "perm.send_messages"
    PERM_EMBED_LINKS = "perm.embed_links"
    PERM_ATTACH_FILES = "perm.attach_files"
    PERM_CHANGE_NICKNAME = "perm.change_nickname"
    PERM_MANAGE_CHANNELS = "perm.manage_channels"
    PERM_MOVE_MEMBERS = "perm.move_members"
    PERM_SET_VOICE_CHANNEL_STATUS = "perm.set_voice_channel_status"


@dataclass(frozen=True, slots=True)
class Words:
    """One language: texts by `table.key`, descriptions by command."""

    texts: Mapping[str, str]
    commands: Mapping[str, str]


def text(notice: Notice, language: str, **values: object) -> str:
    """The words of a notice in the language of a Discord locale such as `en-US`.

    `values` fill its places, and those it has none for are left out; one that is
    missing raises KeyError. What people wrote must come in escaped.
    """
    return WORDS[language_of(language)].texts[notice].format(**values)


def reason(code: str, language: str) -> str:
    """Why a session ended, to stand within a sentence; a code nobody put into words
    is just an end."""
    texts = WORDS[language_of(language)].texts
    return texts.get(f"reason.{code}", texts[Notice.REASON_ENDED])


def described(command: str, language: str) -> str:
    """What a command (`record start`) or its option (`record start.keep`) is for: at
    most 100 characters, as Discord wants it. An unknown one raises KeyError."""
    return WORDS[language_of(language)].commands[command]


def language_of(locale: str) -> str:
    """The language of ours nearest to a locale; English where nobody translated it."""
    short = locale.strip().lower().replace("_", "-").partition("-")[0]
    return short if short in LANGUAGES else DEFAULT_LANGUAGE


def _read(language: str) -> Words:
    path = Path(__file__).with_name("words") / f"{language}.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    commands = tables.pop(COMMANDS)
    texts = {
        f"{table}.{key}": words
        for table, entries in tables.items()
        for key, words in entries.items()
    }
    return Words(texts=texts, commands=commands)


# At import: a file that is missing is found at the start, and no loop waits for it.
WORDS: Mapping[str, Words] = {language: _read(language) for language in LANGUAGES}
