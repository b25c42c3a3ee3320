"""One call: its line, its session, and what is said on both sides.

Holds things together and decides nothing: `call` decides, `turns` answers, captures
keep the sound. A connection that broke and was dialled again goes on here, or in
another process, with the same session and the same dialogue.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid as uuids
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async
from django.conf import settings

from bot.phone import actions, calls
from bot.phone.call import Call
from bot.phone.calllog import CallLog
from bot.phone.dialogue import Saved, Turn
from bot.phone.inbound import Inbound, track_rate
from bot.phone.mouth import Block, PhoneMouth
from bot.phone.states import InvalidTransitionError
from bot.voice.responder import port
from bot.voice.turns import Turns
from sessions import finish, participants
from sessions.background import cancel_and_wait, spawn
from sessions.capture.attention import attention
from sessions.capture.capture import Capture
from sessions.capture.recorder import record
from sessions.capture.registry import Held, Stop, registry
from sessions.capture.sinks import Sink, Track, open_sinks
from sessions.errors import VoiceError
from sessions.feed import feed
from transcripts import live

if TYPE_CHECKING:
    from uuid import UUID

    from bot.models import Call as CallRow
    from bot.phone.line import Line
    from bot.phone.playout import Piece
    from bot.phone.protocol import Audio
    from bot.phone.talking import Talking
    from sessions.models import Participant, VoiceSession

log = structlog.get_logger(__name__)

CALLER, US = "caller", "parley"
OUR_NAME = "Parley"
PHONE_BUFFER_S = 0.2
"""What a phone still plays behind the last frame we sent."""
PLACED_AFTER_S = 1.0
"""A track's first half second is held before it has a place."""
END = {
    actions.Reason.CALLER: "hang_up",
    actions.Reason.SILENCE: "silence",
    actions.Reason.LENGTH: "too_long",
    actions.Reason.TRANSFER: "transferred",
    actions.Reason.ASKED: "hang_up_by_us",
    actions.Reason.SHUTDOWN: "shut_down",
}


class Conversation:
    """A call from its UUID to its end. Belongs to one event loop."""

    def __init__(
        self,
        uuid: UUID,
        line: Line,
        *,
        talking: Talking,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.uuid = uuid
        self.line = line
        self.is_over = False
        self._talking = talking
        self._clock, self._wall = clock, wall
        self._session: VoiceSession | None = None
        self._machine: Call | None = None
        self._turns: Turns | None = None
        self._mouth: PhoneMouth | None = None
        self._log: CallLog | None = None
        self._people: dict[str, tuple[Participant, str]] = {}
        self._held: dict[str, Held] = {}
        self._inbound: Inbound | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._heart = contextlib.ExitStack()
        self._is_speaking = False  # the caller
        self._told = 0  # of the machine's transitions
        self._hang_up: actions.HangUp | None = None
        self._end: asyncio.Task[None] | None = None
        self._over: list[Callable[[Conversation], None]] = []

    @property
    def state(self) -> str:
        return self._machine.state if self._machine else "connected"

    def when_over(self, tell: Callable[[Conversation], None]) -> None:
        self._over.append(tell)
        if self.is_over:
            tell(self)

    # --- how it begins --------------------------------------------------------------

    async def begin(self, call: CallRow, session: VoiceSession) -> None:
        """Answer. Raises VoiceError when the session takes nobody any more."""
        self._session = session
        self._log = CallLog(session.pk)
        for key, name in ((CALLER, call.caller or "Caller"), (US, OUR_NAME)):
            connection = str(uuids.uuid4())
            person = await database_sync_to_async(participants.join)(
                session.pk, key=key, name=name, connection=connection
            )
            self._people[key] = (person, connection)
        saved = await self._talking.store.load(self.uuid)
        self._heart.enter_context(registry().viewing(session.pk))
        self._tasks.append(spawn(self._follow(session.last_seq), name="call.follow"))
        live.room().watch(self._people[CALLER][0].pk, self._caller_speaks)
        self._mouth = PhoneMouth(
            self.line,
            begun=self._block_begun,
            closed=self._block_closed,
            open_track=self._open_our_track,
        )
        self._turns = Turns(
            self._mouth,
            self,
            responder=self._talking.responder,
            speaker=self._talking.speaker,
        )
        self._turns.language = call.language or session.language
        self._start(saved)
        self.line.listen(self)

    def _start(self, saved: Saved | None) -> None:
        now, rules = self._clock(), self._talking.rules
        at_ms = self._at_ms()
        if saved is None:
            self._machine = Call(rules, now=now, at_ms=at_ms)
        else:
            self._machine = Call.resumed(saved, rules, now=now, at_ms=at_ms)
        self._told = 0
        self._do(self._machine.begin(now))

    def take_over(self, line: Line) -> None:
        """The same call over a newer connection: it goes on there."""
        assert self._machine is not None
        assert self._turns is not None
        assert self._mouth is not None
        old, self.line = self.line, line
        self._turns.stop()
        old.forget()
        old.abort()
        self._mouth.move(line)
        log.info("call.resumed", session=self._pk)
        self._start(self._machine.saved())
        line.listen(self)

    # --- what the line tells ----------------------------------------------------------

    def heard(self, audio: Audio) -> None:
        if self._inbound is None:
            self._open_callers_track(track_rate(audio.rate))
        assert self._inbound is not None
        if (held := self._held.get(CALLER)) is not None:
            held.capture.offer(self._inbound.pcm(audio))

    def dialled(self, symbol: str) -> None:
        assert self._log is not None
        self._log.digit(symbol, at_ms=self._at_ms())
        self._tell(lambda machine, now: machine.digit(now, symbol))

    def hung_up(self) -> None:
        if self.line.was_cut:
            self._leave_to_others()
            return
        self._tell(lambda machine, now: machine.hung_up(now))
        self._finish(actions.Reason.CALLER)

    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        assert self._mouth is not None
        self._mouth.sent(frame, skipped=skipped)

    def said(self, piece: Piece) -> None:
        assert self._mouth is not None
        assert self._turns is not None
        self._mouth.said(piece)
        self._turns.drained()

    # --- what turns tell --------------------------------------------------------------

    def block_arrived(self) -> None:
        self._tell(lambda machine, now: machine.block_arrived(now))

    def answer_failed(self, error: VoiceError) -> None:
        assert self._log is not None
        self._log.notice(error.code, error.message)
        self._tell(lambda machine, now: machine.answer_failed(now))

    def all_said(self) -> None:
        if self._hang_up is not None:
            self._finish(self._hang_up.reason)
            return
        self._tell(
            lambda machine, now: machine.speech_ended(now, heard_s=now + PHONE_BUFFER_S)
        )

    def asked_for(self, action: port.Transfer | port.HangUp) -> None:
        assert self._log is not None
        if isinstance(action, port.Transfer):
            self._log.run(lambda: calls.ask_transfer(self.uuid, to=action.to))
        else:
            self._tell(lambda machine, now: machine.hang_up(now))

    # --- what is said -----------------------------------------------------------------

    def _block_begun(self, block: Block) -> None:
        if not block.is_filler and self._hang_up is None:
            self._tell(lambda machine, now: machine.speech_began(now, block.text))

    def _block_closed(self, block: Block) -> None:
        if block.begun is not None:
            self._tasks.append(spawn(self._write(block), name="call.line"))

    async def _write(self, block: Block) -> None:
        """The line of what we said; its track knows its place after a moment."""
        assert self._mouth is not None
        assert self._log is not None
        if self._mouth.place(block) is None:
            await asyncio.sleep(PLACED_AFTER_S)
        if (place := self._mouth.place(block)) is not None:
            person, _ = self._people[US]
            self._log.said(person.pk, place, block.text, language=self._language)

    # --- what the session tells -------------------------------------------------------

    async def _follow(self, after: int) -> None:
        """What the caller said, as soon as it is text; and what others ask for."""
        caller = str(self._people[CALLER][0].public_id)
        async with contextlib.aclosing(feed().follow(self._pk, after=after)) as events:
            async for event in events:
                if event.type == "transfer":
                    self._tell(lambda machine, now: machine.transfer(now))
                elif event.type == "utterance" and event.data["participant"] == caller:
                    self._caller_said(event.data["text"])

    def _caller_said(self, text: str) -> None:
        self._tell(lambda machine, now: machine.caller_said(now, text))

    def _caller_speaks(self, speech_s: float) -> None:
        if not speech_s:
            if self._is_speaking:
                self._is_speaking = False
                self._tell(lambda machine, now: machine.caller_ended(now))
        elif not self._is_speaking and speech_s * 1000 >= settings.BARGE_IN_MS:
            self._is_speaking = True
            self._tell(lambda machine, now: machine.caller_began(now))

    # --- what the machine asks for ----------------------------------------------------

    def _tell(self, what: Callable[[Call, float], actions.Actions]) -> None:
        if self._machine is None or self.is_over:
            return
        try:
            self._do(what(self._machine, self._clock()))
        except InvalidTransitionError as e:
            log.warning("call.invalid", session=self._pk, message=e.message)

    def _do(self, todo: actions.Actions) -> None:
        assert self._machine is not None
        for action in todo:
            self._carry_out(action)
        self._note()
        self._wait()

    def _carry_out(self, action: actions.Action) -> None:
        assert self._turns is not None
        turns = self._turns
        match action:
            case actions.Say(prompt):
                turns.say(self._words(prompt))
            case actions.PlayFiller():
                words = self._words(actions.Prompt.FILLER)
                turns.say(words, is_filler=True)
            case actions.StopSpeaking():
                turns.stop_speaking()
            case actions.StopAnswering():
                turns.stop_answering()
            case actions.Ask(text, history):
                turns.ask(text, _for_responder(history))
            case actions.HangUp(reason, says):
                turns.stop()
                self._hang_up = action
                if says is None:
                    self._finish(reason)
                else:
                    turns.say(self._words(says))

    def _note(self) -> None:
        """Keep what changed: the log of states, and the dialogue for a resumption."""
        assert self._machine is not None
        assert self._log is not None
        news = self._machine.log[self._told :]
        self._told = len(self._machine.log)
        for transition in news:
            self._log.state(transition.state, transition.why)
        self._talking.store.save(self.uuid, self._machine.saved())

    def _wait(self) -> None:
        """Come back when the machine's next timer is due."""
        assert self._machine is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._machine.due()) is not None and not self.is_over:
            delay = max(due[1] - self._clock(), 0.0)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, self._on_time)

    def _on_time(self) -> None:
        self._tell(lambda machine, now: machine.tick(now))

    # --- tracks -----------------------------------------------------------------------

    def _open_callers_track(self, rate: int) -> None:
        self._inbound = Inbound(rate)
        track = self._track(CALLER, rate)
        self._hold(CALLER, track, open_sinks(track))

    def _open_our_track(self, rate: int) -> Capture:
        """What we say needs no detection and no model: it is only recorded."""
        track = self._track(US, rate)
        recorder = record(track)
        return self._hold(US, track, [recorder] if recorder else [])

    def _track(self, key: str, rate: int) -> Track:
        assert self._session is not None
        person, _ = self._people[key]
        return Track(
            self._session.pk,
            self._session.public_id,
            person.pk,
            person.public_id,
            person.name,
            rate=rate,
            started_at=self._session.started_at,
            recorded=self._session.record,
        )

    def _hold(self, key: str, track: Track, sinks: list[Sink]) -> Capture:
        assert self._session is not None
        assert self._session.started_at is not None
        capture = Capture(
            track,
            started_at=self._session.started_at,
            rate=track.rate,
            sinks=sinks,
            away_s=attention().away_s,
        )
        if (before := self._held.get(key)) is not None:
            registry().remove(before)
            self._tasks.append(spawn(before.capture.close(), name="call.track"))
        self._held[key] = Held(capture, self._stopped, self._people[key][1])
        registry().add(self._held[key])
        return capture

    # --- how it ends ------------------------------------------------------------------

    async def finish(self, reason: actions.Reason) -> None:
        """End it, whoever asks; returns when everything is written down."""
        self._tell(lambda machine, now: machine.hang_up(now, reason))
        self._finish(reason)
        if self._end is not None:
            await self._end

    def _finish(self, reason: actions.Reason) -> None:
        if self._end is None:
            self._end = spawn(self._finished(END[reason]), name="call.end")

    async def _finished(self, reason: str) -> None:
        log.info("call.ended", session=self._pk, reason=reason)
        await database_sync_to_async(calls.ended)(self.uuid, reason=reason)
        self._talking.store.forget(self.uuid)
        await finish.end(self._pk, reason=reason)  # calls `_stopped` for our tracks
        await self._let_go()

    async def _stopped(self, why: Stop) -> None:
        """The session ends, or this process does: write down what was heard."""
        if self._turns is not None:
            self._turns.stop()
        await self._leave()
        self.line.hang_up()
        if why is not Stop.RESTARTING and self._end is None:
            # Ended elsewhere: a moderator, the API.
            self._end = spawn(self._ended_elsewhere(), name="call.end")

    async def _ended_elsewhere(self) -> None:
        await database_sync_to_async(calls.ended)(self.uuid, reason="ended")
        self._talking.store.forget(self.uuid)
        await self._let_go()

    async def _leave(self) -> None:
        """Write down both tracks, and take both people off the list."""
        for held in list(self._held.values()):
            await held.capture.close()
            registry().remove(held)
        for person, connection in self._people.values():
            await database_sync_to_async(participants.leave)(
                self._pk, person.pk, connection=connection
            )

    def _leave_to_others(self) -> None:
        """The loop hung and the line was cut: Asterisk dials again, here or elsewhere,
        and whoever answers goes on. If nobody does, the reaper ends the session."""
        if self._end is None:
            self._end = spawn(self._let_go(), name="call.left")

    async def _let_go(self) -> None:
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._turns is not None:
            self._turns.stop()
        live.room().unwatch(self._people[CALLER][0].pk)
        await self._leave()
        if self._log is not None:
            await self._log.close()
        self._heart.close()
        for task in self._tasks:
            if task is not asyncio.current_task():
                await cancel_and_wait(task)
        for tell in self._over:
            tell(self)

    # --- small things -----------------------------------------------------------------

    @property
    def _pk(self) -> int:
        assert self._session is not None
        return self._session.pk

    @property
    def _language(self) -> str:
        assert self._turns is not None
        return self._turns.language or settings.TTS_LANGUAGE

    def _words(self, prompt: actions.Prompt) -> str:
        assert self._session is not None
        return self._talking.words(
            prompt, language=self._language, records=self._session.record
        )

    def _at_ms(self) -> int:
        """Where the session's timeline stands now."""
        assert self._session is not None
        assert self._session.started_at is not None
        into_s = self._wall() - self._session.started_at.timestamp()
        return max(round(into_s * 1000), 0)


def _for_responder(turns: tuple[Turn, ...]) -> port.History:
    return tuple(port.Turn(turn.speaker.value, turn.text) for turn in turns)
