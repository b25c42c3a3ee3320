"""Commands about what was recorded: /sessions, /transcript, /download, /note."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING

import discord
from channels.db import database_sync_to_async
from discord import app_commands
from discord.ext import commands
from discord.utils import escape_markdown, escape_mentions, format_dt
from django.conf import settings
from django.utils import timezone

from bot.discord.commands import finding
from bot.discord.commands.finding import Asking
from bot.discord.desk import locale_of
from bot.discord.notices import Notice, described, text
from sessions import addresses, bookmarks, masters, names, queries
from sessions.audio.frames import SAMPLES_PER_MS
from sessions.background import aside
from sessions.bookmarks import Author
from sessions.errors import VoiceError
from sessions.models import State, VoiceSession
from sessions.storage import StorageError
from transcripts import exports, utterances

if TYPE_CHECKING:
    from bot.discord.conversation import Conversation
    from bot.discord.desk import Context, Desk
    from bot.discord.text.answer import Answer

READS = commands.cooldown(5, 30.0, commands.BucketType.member)
SHOWN = 10
"""Sessions; with titles of TITLE_MAX characters they fit into a message."""
TITLE_MAX = 40
NOTE_MAX = 500


class Archive(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @commands.hybrid_command()
    @commands.guild_only()
    @READS
    async def sessions(self, context: Context) -> None:
        """Show the latest sessions."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            asking = Asking.of(context)
            found = await database_sync_to_async(finding.newest)(asking, most=SHOWN)
            if not found:
                await answer.show(text(Notice.SESSIONS_NONE, locale))
                return
            title = f"**{text(Notice.SESSIONS_TITLE, locale)}**"
            lines = [_line(session, locale) for session in found]
            await answer.show("\n".join([title, *lines]))

    @commands.hybrid_command()
    @commands.guild_only()
    @READS
    @app_commands.describe(id=described("transcript.id", "en"))
    async def transcript(self, context: Context, id: str) -> None:  # noqa: A002 (its name for people)
        """Get the text of a session."""
        async with self._desk.answering(context) as answer:
            session = await _ended(context, id)
            read = database_sync_to_async(utterances.of_session)
            written = exports.txt(await read(session.pk)).encode()
            if not written:
                await answer.show(text(Notice.TRANSCRIPT_EMPTY, locale_of(context)))
            elif len(written) > _upload_max(context):
                await answer.show(_page(session, locale_of(context)))
            else:
                await _show_file(answer, session, written, locale_of(context))

    @commands.hybrid_command()
    @commands.guild_only()
    @READS
    @app_commands.describe(id=described("download.id", "en"))
    async def download(self, context: Context, id: str) -> None:  # noqa: A002 (as above)
        """Get a link to the sound of a session."""
        locale = locale_of(context)
        async with self._desk.answering(context) as answer:
            session = await _ended(context, id)
            link = await aside(_link_or_wish, session)
            if link is None:
                await answer.show(text(Notice.DOWNLOAD_REBUILDING, locale))
                return
            minutes = max(settings.DOWNLOAD_LINK_S // 60, 1)
            url = f"<{link}>"  # without a preview: that would fetch all of it
            await answer.show(
                text(Notice.DOWNLOAD_LINK, locale, minutes=minutes, url=url)
            )

    @commands.hybrid_command()
    @commands.guild_only()
    @READS
    @app_commands.describe(text=described("note.text", "en"))
    async def note(
        self, context: Context, *, text: commands.Range[str, 1, NOTE_MAX]
    ) -> None:
        """Mark this moment of the session with a note."""
        now = timezone.now()  # before we are asked to think
        async with self._desk.answering(context) as answer:
            call = self._call_of(context)
            keep = database_sync_to_async(_keep)
            at_ms = await keep(call.session, context.author, _noted(text), now)
            await answer.show(_kept(at_ms, locale_of(context)))

    def _call_of(self, context: Context) -> Conversation:
        """The call they sit in. Raises VoiceError."""
        assert context.guild is not None
        call = self._desk.operator.call_in(context.guild.id)
        if call is None or not call.is_begun:
            raise VoiceError("nothing", "Nothing is recorded here.", status=404)
        if context.author.id not in call.people():
            raise VoiceError("not_in_voice", "You are not in the call.", status=409)
        return call


async def _ended(context: Context, id_: str) -> VoiceSession:
    """The session they mean, when it is over. Raises VoiceError."""
    session = await database_sync_to_async(finding.find)(Asking.of(context), id_)
    if session.state in queries.ALIVE:
        raise VoiceError("running", "The session still runs.", status=409)
    if session.state == State.FINISHING:
        raise VoiceError("not_ready", "It is still being finished.", status=409)
    return session


def _line(session: VoiceSession, locale: str) -> str:
    title = names.clean(session.title, longest=TITLE_MAX)
    shown = escape_mentions(escape_markdown(title))
    parts = [f"`{finding.short(session)}` **{shown}**"]
    if (began := session.started_at) is not None:
        lasted = (session.ended_at or timezone.now()) - began
        parts += [format_dt(began, "f"), _clock(int(lasted.total_seconds()))]
    return " · ".join([*parts, _state(session, locale)])


def _state(session: VoiceSession, locale: str) -> str:
    state = session.state
    if state == State.REQUESTED:
        state = State.WAITING
    elif state == State.ACTIVE and not session.is_open:
        state = State.FINISHING
    return text(Notice(f"state.{state}"), locale)


def _clock(seconds: int) -> str:
    """`1:02:03`, and `2:03` where there are no hours."""
    minutes, seconds = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}"


def _noted(words: str) -> str:
    """What they noted, on one line. Raises VoiceError."""
    if len(words) > NOTE_MAX:
        raise VoiceError("too_long", "The note is too long.", status=400)
    return names.clean(words, longest=NOTE_MAX)


def _kept(at_ms: int, locale: str) -> str:
    return text(Notice.NOTE_KEPT, locale, time=_clock(at_ms // 1000))


def _page(session: VoiceSession, locale: str) -> str:
    url = f"<{addresses.page_of(session)}>"
    return text(Notice.TRANSCRIPT_LINK, locale, url=url)


def _upload_max(context: Context) -> int:
    """Bytes of a file that Discord takes here."""
    if context.interaction is not None:
        return context.interaction.filesize_limit
    return context.guild.filesize_limit if context.guild else 0


async def _show_file(
    answer: Answer, session: VoiceSession, written: bytes, locale: str
) -> None:
    file = discord.File(
        io.BytesIO(written), filename=f"transcript-{session.public_id}.txt"
    )
    try:
        await answer.show_file(_page(session, locale), file)
    except discord.HTTPException:
        # Too large after all, or no right to attach: the page shows it as well.
        await answer.show(_page(session, locale))


def _link_or_wish(session: VoiceSession) -> str | None:
    """A link to the sound; None: it is being made. Raises VoiceError."""
    try:
        link = masters.link_of(session)
        if link is None:
            masters.want(session)
    except StorageError as e:
        raise VoiceError("no_storage", e.message, status=e.status) from e
    return None if link is None else addresses.absolute(link)


def _keep(
    session: VoiceSession,
    author: discord.Member | discord.User,
    words: str,
    now: datetime,
) -> int:
    """Keep the note, for every page to show; where in the session it is, in ms."""
    by = Author(author.display_name, key=f"discord:{author.id}")
    row = bookmarks.take(session, words, by=by, at_ms=_since(session, now), now=now)
    return row.position // SAMPLES_PER_MS


def _since(session: VoiceSession, now: datetime) -> int:
    assert session.started_at is not None
    return max(round((now - session.started_at).total_seconds() * 1000), 0)
