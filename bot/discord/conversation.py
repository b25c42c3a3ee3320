"""One Discord call: its link, its session, and what is said on all sides.

Holds things together from joining the channel to the last thing undone. Who begins and
ends it, and why, is `operator`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord
import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from bot.discord import unrecorded
from bot.discord.countdown import Countdown
from bot.discord.dave import SILENCE
from bot.discord.guild import deeds
from bot.discord.guild.undo import take_off_status, undo
from bot.discord.linking.link import Link
from bot.discord.metrics import CallFigures, VoiceMetrics
from bot.discord.notices import Notice
from bot.discord.speak import SpeechOut
from bot.discord.text import lines
from bot.discord.text.chat import Chat
from bot.discord.text.follower import Follower
from bot.discord.tracks import DiscordTracks
from bot.discord.unbroken import insist, unbroken
from bot.discord.works import Works
from bot.voice.calllog import CallLog
from bot.voice.mouth import Block, LineMouth
from bot.voice.owntrack import OwnTrack
from sessions.background import spawn
from sessions.capture.registry import Host, Stop, registry
from sessions.models import State

if TYPE_CHECKING:
    from bot.discord.linking.connection import ListeningClient
    from bot.discord.optouts import Admission
    from bot.discord.receive import Heard
    from bot.discord.text.lines import Line
    from bot.models import DiscordCall
    from bot.voice.responder.port import Responder
    from bot.voice.tts.speaker import Speaker
    from sessions.capture.capture import Capture
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

EARLY_MAX = 1500
"""Packets (30 s of one speaker) that wait for time zero."""
LAST_LINES_S = 60.0
"""How long the text channel waits behind the end for what was said last."""
STATUS_WITHIN_S = 2.0
WORK_WITHIN_S, TRACKS_WITHIN_S, LEAVE_WITHIN_S, UNDO_WITHIN_S = 12.0, 10.0, 8.0, 9.0
"""The steps of a close. Only the first, where Discord does not answer what was asked
before, brings it beyond what `finish` waits; it goes on all the same."""

Voice = discord.VoiceChannel | discord.StageChannel


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls of a process have in common."""

    client: discord.Client
    responder: Responder
    speaker: Speaker
    admission: Admission
    answers: bool
    """Whether the responder is one that answers."""


class Conversation:
    """Belongs to the client's event loop. `ended` is told why it must end; `closed`
    when nothing of it is left here, but for its last lines; `deaf` that nothing is
    heard though somebody speaks."""

    def __init__(
        self,
        shared: Shared,
        session: VoiceSession,
        call: DiscordCall,
        *,
        asked_at: float,
        ended: Callable[[Conversation, str], None],
        closed: Callable[[Conversation], None],
        deaf: Callable[[Conversation], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session, self.call = session, call
        # Whose user is erased by now is only concluded.
        self.guild_id, self.user_id = int(session.guild_id), int(session.user_id or 0)
        self.is_room = bool(call.room_name)
        self.link: Link | None = None
        self.is_begun = False
        self.join_s: float | None = None
        self.why = ""
        """Why it ends, as whoever asked first has it."""
        self.ending: asyncio.Task[bool] | None = None
        self.may_have_room = session.state != State.REQUESTED
        """Discord has been asked for it."""
        self.is_undoing = False
        """From here on it is we who delete its room."""
        self._shared = shared
        self._asked_at = asked_at
        self._tell_ended, self._tell_closed, self._tell_deaf = ended, closed, deaf
        self._clock = clock
        self._spoken_at = clock()
        self._late: list[asyncio.Task[None]] = []
        self._early: deque[Heard] = deque(maxlen=EARLY_MAX)
        self._switch = threading.Lock()  # of who hears: the reader's thread, the loop
        self._tracks: DiscordTracks | None = None
        self._speech: SpeechOut | None = None
        self._ours: OwnTrack | None = None
        self._chat: Chat | None = None
        self._mouth: LineMouth | None = None
        self._log: CallLog | None = None
        self._follower: Follower | None = None
        self._countdown: Countdown | None = None
        self._hosting = contextlib.ExitStack()
        self.works = Works(session=session.pk, crashed=self.crashed)
        self._closing: asyncio.Task[None] | None = None

    # --- how it begins ----------------------------------------------------------------

    @property
    def locale(self) -> str:
        return self.call.locale

    @property
    def channel(self) -> Any:
        """Where we are, or are to be."""
        return self.link.channel if self.link is not None else None

    @property
    def is_waiting(self) -> bool:
        """For whoever asked for the room."""
        return self._countdown is not None and not self.is_begun

    @property
    def is_closed(self) -> bool:
        """Or is being closed."""
        return self._closing is not None

    @property
    def is_ending(self) -> bool:
        return self.is_closed or self.ending is not None

    def crashed(self) -> None:
        """Something of it is broken: better no call than half of one."""
        self._tell_ended(self, "crashed")

    async def join(self, channel: Voice) -> None:
        """Into the channel. Raises LinkError."""
        self._speech = SpeechOut()
        self.link = Link(
            self._shared.client,
            channel,
            sink=self._hear,
            accepts=self._shared.admission.admits,
            ended=lambda reason: self._tell_ended(self, reason),
            connected=self._connected,
            deaf=lambda: self._tell_deaf(self),
            session=self.session.pk,
        )
        await self.link.open()
        self.join_s = self._clock() - self._asked_at

    def wait_for_user(self, run_out: Callable[[], None]) -> None:
        """They have so long to come."""
        began_at = self._clock()
        self._count_down(settings.VOICE_TIMEOUT, run_out, since=lambda: began_at)

    async def begin(self, session: VoiceSession) -> None:
        """The session is active: what is said from its time zero on is kept. Where it
        closes meanwhile, that waits for it."""
        await unbroken(self._begin(session))

    async def _begin(self, session: VoiceSession) -> None:
        self.session = session
        if self.is_closed:
            return
        self._stop_countdown()
        self._hosting.enter_context(registry().hosting(Host(session.pk, self._stopped)))
        tracks = DiscordTracks(
            session,
            name_of=self._name_of,
            stopped=self._stopped,
            speaks=self._somebody_speaks,
        )
        with self._switch:
            while self._early:
                tracks.hear(self._early.popleft())
            self._tracks, self.is_begun = tracks, True
        await self._begin_to_speak()
        self._follower = Follower(
            session,
            self.call,
            channel=self._text_channel(),
            heard=self._line,
            crashed=self.crashed,
        )
        await self._follower.start()
        self._spoken_at = self._clock()
        if settings.VOICE_INACTIVITY_S:
            self._count_down(
                settings.VOICE_INACTIVITY_S,
                lambda: self._tell_ended(self, "inactivity"),
                since=lambda: self._spoken_at,
            )

        self.note_unrecorded(*self.people())

    def note_unrecorded(self, *users: int) -> None:
        """Whoever of them is not recorded, the transcript says so."""
        if self.is_begun and not self.is_closed:
            noting = unrecorded.note(
                self.session,
                users,
                admission=self._shared.admission,
                name_of=self._name_of,
            )
            self.works.run(noting, name="discord.unrecorded")

    def say(self, notice: Notice) -> None:
        if self._chat is not None:
            self._chat.say(notice)

    # --- what Discord tells -----------------------------------------------------------

    def left(self, user_id: int) -> None:
        """One of them has gone, and others go on."""
        if self._tracks is not None:
            self.works.run(self._tracks.left(user_id), name="discord.left")

    def moved(self, channel_id: int) -> None:
        """A moderator has taken us elsewhere: it goes on there."""
        self.session.channel_id = str(channel_id)
        in_channel = database_sync_to_async(deeds.in_channel)
        note = in_channel(self.session.pk, channel_id=channel_id)
        self.works.run(note, name="discord.moved")

    @property
    def is_deafened(self) -> bool:
        """By a moderator."""
        if self.channel is None:
            return False
        ours = self.channel.voice_states.get(self.channel.guild.me.id)
        return ours is not None and ours.deaf

    def people(self) -> list[int]:
        """Who is in the channel, but for bots."""
        channel = self.channel
        if channel is None:
            return []
        guild = channel.guild
        return [
            user_id
            for user_id in channel.voice_states
            if not ((member := guild.get_member(user_id)) and member.bot)
            and user_id != guild.me.id
        ]

    # --- how it ends ------------------------------------------------------------------

    async def close(self) -> None:
        """The order of the design: timers, intake and speech, tracks, channel,
        presence, room. May be called again; whoever waits may lose patience."""
        if self._closing is None:
            session = self.session.pk
            self._closing = spawn(self._close(), name="discord.close", session=session)
        await asyncio.shield(self._closing)

    async def settled(self) -> None:
        """Until also that is done for which the end did not wait."""
        if self._late:
            await asyncio.wait(self._late)

    async def epilogue(self) -> None:
        """The last lines become text behind the end."""
        if self._follower is not None:
            await self._follower.finish(within_s=LAST_LINES_S)
        elif not self.session.record:
            # Those that a process wrote which died.
            await asyncio.to_thread(lines.forget_session, self.session)

    def hurry(self) -> None:
        """Wait for no last lines."""
        if self._follower is not None:
            self._follower.hurry()

    def figures(self) -> CallFigures:
        """What it has counted, when it is over."""
        session, link = self.session, self.link
        return CallFigures(
            guild_id=session.guild_id,
            channel_id=session.channel_id,
            speakers=self._tracks.speakers if self._tracks else 0,
            received=self.received(),
            reconnects=link.outages.reconnects if link else 0,
            longest_gap_s=link.outages.longest_s if link else 0.0,
            join_s=self.join_s,
            waited_s=self._tracks.waited_s if self._tracks else 0.0,
        )

    def received(self) -> VoiceMetrics:
        counts = VoiceMetrics()
        for receiver in self.link.receivers if self.link else ():
            counts += VoiceMetrics.of(receiver)
        return counts

    async def _close(self) -> None:
        self._fall_silent()
        await self.works.end(within_s=WORK_WITHIN_S)
        self._fall_silent()  # they may have begun just then
        steps = {
            self._close_tracks: TRACKS_WITHIN_S,
            self._leave: LEAVE_WITHIN_S,
            self._undo: UNDO_WITHIN_S,
        }
        for step, within_s in steps.items():
            # Each is attempted, and none broken off: a channel must not stay for a
            # disk's sake, nor sound be lost for a channel's.
            name = f"discord.{step.__name__.strip('_')}"
            task = spawn(step(), name=name, session=self.session.pk)
            _, late = await asyncio.wait([task], timeout=within_s)
            if late:
                self._late.append(task)
                log.warning("discord.step_late", step=step.__name__, call=self.call.pk)
        self._hosting.close()
        self._tell_closed(self)

    def _fall_silent(self) -> None:
        self._stop_countdown()
        if self._chat is not None:
            self._chat.stop()
        if self._speech is not None:
            self._speech.close()

    async def _close_tracks(self) -> None:
        await self.works.finish()
        if self._tracks is not None:
            await self._tracks.leave()
        if self._ours is not None:
            await self._ours.leave()
        if self._log is not None:
            await self._log.close()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(STATUS_WITHIN_S):
                await take_off_status(self._shared.client, self.call)
        except TimeoutError:
            log.info("discord.status_left", session=self.session.pk)
        if self.link is not None:
            await self.link.close()

    async def _undo(self) -> None:
        self.is_undoing = True
        if not self.may_have_room:
            self.call.room_name = ""  # else it would be looked for a while
        await undo(self._shared.client, self.call)

    async def _stopped(self, _: Stop) -> None:
        """The session ends, whoever ended it, or this process does."""
        await self.close()

    # --- what is heard ----------------------------------------------------------------

    def _hear(self, heard: Heard) -> None:
        """On the reader's thread."""
        if heard.opus != SILENCE:
            self._spoken_at = heard.received_s
        with self._switch:
            if self._tracks is not None:
                self._tracks.hear(heard)
            elif not self.is_closed:
                self._early.append(heard)

    def _line(self, line: Line) -> None:
        if self._chat is not None and not self._is_ours(line.participant):
            self._chat.heard(line.name, line.text)

    def _is_ours(self, participant: str) -> bool:
        ours = self._ours
        return ours is not None and str(ours.person.public_id) == str(participant)

    def _somebody_speaks(self, speech_s: float) -> None:
        if self._chat is not None:
            self._chat.speaks(speech_s)

    # --- what we say ------------------------------------------------------------------

    async def _begin_to_speak(self) -> None:
        if settings.TTS == "none" or self._speech is None:
            return
        self._ours = OwnTrack(self.session)
        await insist(database_sync_to_async(self._ours.join))
        self._log = CallLog(self.session.pk)
        self._mouth = LineMouth(
            self._speech,
            begun=lambda _: None,
            closed=self._said,
            open_track=self._track,
        )
        self._speech.told = _Counted(self._mouth, self._drained)
        self._chat = Chat(
            self._mouth,
            responder=self._shared.responder,
            speaker=self._shared.speaker,
            language=self.session.language or self.locale,
            answers=self._answers(),
            filler_delay_s=settings.FILLER_DELAY_S,
            barge_in_s=settings.BARGE_IN_MS / 1000,
            hang_up=lambda: self._tell_ended(self, "hang_up_by_us"),
        )

    def _answers(self) -> bool:
        where = settings.VOICE_RESPONDER
        wanted = where == "all" or (where == "rooms" and self.is_room)
        return wanted and self._shared.answers

    def _track(self, rate: int) -> Capture:
        assert self._ours is not None
        return self._ours.open(rate, stopped=self._stopped)

    def _said(self, block: Block) -> None:
        if self._chat is None or self._mouth is None or self._ours is None:
            return
        self._chat.said(block)
        if self._log is not None and (place := self._mouth.place(block)) is not None:
            language = self._chat.turns.language
            self._log.said(self._ours.person.pk, place, block.text, language=language)

    def _drained(self) -> None:
        if self._chat is not None:
            self._chat.turns.drained()

    # --- small things -----------------------------------------------------------------

    def _connected(self, client: ListeningClient) -> None:
        if self._speech is not None:
            self._speech.connect(client)

    def _count_down(
        self, seconds: float, run_out: Callable[[], None], *, since: Callable[[], float]
    ) -> None:
        self._stop_countdown()
        self._countdown = Countdown(seconds, run_out, since=since, clock=self._clock)
        self._countdown.start()

    def _stop_countdown(self) -> None:
        if self._countdown is not None:
            self._countdown.stop()
            self._countdown = None

    def _text_channel(self) -> discord.abc.Messageable | None:
        """Where the lines are shown: those of a room in itself, for nobody else is to
        read them; what is not kept, nowhere where it would stay."""
        if not settings.VOICE_MIRROR:
            return None
        if self.is_room:
            return self.channel
        if not self.session.record or not self.call.text_channel_id:
            return None
        found = self._shared.client.get_channel(int(self.call.text_channel_id))
        return found if isinstance(found, discord.abc.Messageable) else None

    def _name_of(self, user_id: int) -> str:
        guild = self._shared.client.get_guild(self.guild_id)
        member = guild.get_member(user_id) if guild is not None else None
        return member.display_name if member is not None else ""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A mouth that is told by its line, and its turns when nothing is left to say."""

    mouth: LineMouth
    drained: Callable[[], None]

    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        self.mouth.sent(frame, skipped=skipped)

    def said(self, piece: Any) -> None:
        self.mouth.said(piece)
        self.drained()
