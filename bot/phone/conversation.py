"""One call: its line, its session, and what is said on both sides.

Holds things together and decides nothing: `call` decides, `turns` answers, captures
keep the sound. A connection that broke and was dialled again goes on here, or in
another process, with the same session and the same dialogue.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction

from bot.phone import actions, calls
from bot.phone.call import Call
from bot.phone.dialogue import Saved, Turn
from bot.phone.states import InvalidTransitionError
from bot.phone.tracks import CallTracks, Side
from bot.voice.calllog import CallLog
from bot.voice.mouth import Block, LineMouth
from bot.voice.responder import port
from bot.voice.turns import Turns
from sessions import events, finish, participants, timezero
from sessions.background import Work, cancel_and_wait, spawn
from sessions.capture.registry import Stop, registry
from sessions.errors import VoiceError
from sessions.feed import feed
from sessions.models import Erasure
from transcripts import forgetting

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from bot.models import Call as CallRow
    from bot.phone.line import Line
    from bot.phone.protocol import Audio
    from bot.phone.talking import Talking
    from bot.voice.playout import Piece
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

PHONE_BUFFER_S = 0.2
"""What a phone still plays behind the last frame we sent."""
BROKEN_S = 5.0
"""How long a call whose line broke is kept open for whoever dials again."""
END = {
    actions.Reason.CALLER: "hang_up",
    actions.Reason.SILENCE: "silence",
    actions.Reason.LENGTH: "too_long",
    actions.Reason.TRANSFER: "transferred",
    actions.Reason.ASKED: "hang_up_by_us",
    actions.Reason.SHUTDOWN: "shut_down",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was found its session, its people and what is kept of it."""

    call: CallRow
    session: VoiceSession
    tracks: CallTracks
    saved: Saved | None
    read_to: int
    """The event up to which a call that broke off had read the log."""


async def answer(uuid: UUID, *, talking: Talking, began_at: datetime) -> Answered:
    """Raises VoiceError for a call that is not taken."""
    found, saved = await asyncio.gather(
        database_sync_to_async(_found)(uuid, began_at), talking.store.load(uuid)
    )
    call, session, tracks, read_to = found
    return Answered(call, session, tracks, saved, read_to)


@transaction.atomic  # once through to the disk: somebody waits for our first word
def _found(
    uuid: UUID, began_at: datetime
) -> tuple[CallRow, VoiceSession, CallTracks, int]:
    strict = settings.AUDIOSOCKET_STRICT
    call, session = calls.answer(uuid, strict=strict, began_at=began_at)
    # Whatever it heard of the caller put it into another state.
    read_to = events.newest(session.pk, "call")
    tracks = CallTracks(session)
    tracks.join(call.caller)
    return call, session, tracks, read_to


class Conversation:
    """A call from its UUID to its end. Belongs to one event loop."""

    def __init__(
        self,
        line: Line,
        answered: Answered,
        *,
        talking: Talking,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.uuid = answered.call.uuid
        self.line = line
        self.is_over = False
        self.undecided: asyncio.Task[None] | None = None
        """Runs while nobody knows whether a call whose line broke goes on elsewhere."""
        self._session = answered.session
        self._tracks = answered.tracks
        self._read_to = answered.read_to
        self._talking = talking
        self._clock, self._sleep = clock, sleep
        self._log = CallLog(self._session.pk)
        self._mouth = LineMouth(
            line,
            begun=self._block_begun,
            closed=self._block_closed,
            open_track=self._tracks.open_ours,
        )
        self._turns = Turns(
            self._mouth, self, responder=talking.responder, speaker=talking.speaker
        )
        self._turns.language = answered.call.language or self._session.language
        self._machine = self._new_machine(answered.saved)
        self._told = 0  # of the machine's transitions
        self._timer: asyncio.TimerHandle | None = None
        self._is_speaking = False  # the caller
        self._hang_up: actions.HangUp | None = None
        self._end: asyncio.Task[None] | None = None
        self._over: list[Callable[[Conversation], None]] = []
        self._follower: asyncio.Task[None] | None = None
        self._heart = contextlib.ExitStack()

    @property
    def state(self) -> str:
        return self._machine.state

    def when_over(self, tell: Callable[[Conversation], None]) -> None:
        self._over.append(tell)
        if self.is_over:
            tell(self)

    # --- how it begins --------------------------------------------------------------

    def begin(self) -> None:
        """Greet, or go on where the call broke off."""
        self._heart.enter_context(registry().viewing(self._session.pk))
        self._tracks.tell(stopped=self._stopped, speaks=self._caller_speaks)
        self._follower = self._spawn(self._follow(self._read_to), name="call.follow")
        self._do(self._machine.begin(self._clock()))
        self.line.listen(self)

    def take_over(self, line: Line) -> None:
        """The same call over a newer connection: it goes on there."""
        old, self.line = self.line, line
        self._turns.stop()
        old.forget()
        old.abort()
        self._mouth.move(line)
        log.info("call.resumed", session=self._session.pk)
        self._machine = self._new_machine(self._machine.saved())
        self._told = 0
        self._do(self._machine.begin(self._clock()))
        line.listen(self)

    def _new_machine(self, saved: Saved | None) -> Call:
        now, rules, at_ms = self._clock(), self._talking.rules, self._at_ms()
        if self._tracks.is_dropped:
            # They are not heard: silence is not held against them.
            rules = replace(rules, silence_s=0.0, optout_digit="")
        if saved is None:
            return Call(rules, now=now, at_ms=at_ms)
        return Call.resumed(saved, rules, now=now, at_ms=at_ms)

    # --- what the line tells ----------------------------------------------------------

    def heard(self, audio: Audio, *, waited_s: float = 0.0) -> None:
        self._tracks.hear(audio, waited_s=waited_s)

    def dialled(self, symbol: str) -> None:
        self._log.digit(symbol, at_ms=self._at_ms())
        self._tell(lambda machine, now: machine.digit(now, symbol))

    def hung_up(self) -> None:
        if self.line.was_cut:
            self._leave_to_others()
            return
        if self.line.is_broken and self._end is None:
            self._leave_to_others()
            self.undecided = self._spawn(self._end_unless_taken(), name="call.broken")
            return
        self._tell(lambda machine, now: machine.hung_up(now))
        self._finish(actions.Reason.CALLER)

    def sent(self, frame: bytes | None, *, skipped: int) -> None:
        self._mouth.sent(frame, skipped=skipped)

    def said(self, piece: Piece) -> None:
        self._mouth.said(piece)
        self._turns.drained()

    # --- what turns tell --------------------------------------------------------------

    def block_arrived(self) -> None:
        self._tell(lambda machine, now: machine.block_arrived(now))

    def answer_failed(self, error: VoiceError) -> None:
        self._log.notice(error.code, error.message)
        self._tell(lambda machine, now: machine.answer_failed(now))

    def all_said(self) -> None:
        if self._hang_up is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(PHONE_BUFFER_S, self._finish, self._hang_up.reason)
            return
        self._tell(
            lambda machine, now: machine.speech_ended(now, heard_s=now + PHONE_BUFFER_S)
        )

    def asked_for(self, action: port.Transfer | port.HangUp) -> None:
        if isinstance(action, port.Transfer):
            self._log.run(lambda: calls.ask_transfer(self.uuid, to=action.to))
        else:
            self._tell(lambda machine, now: machine.hang_up(now))

    # --- what is said -----------------------------------------------------------------

    def _block_begun(self, block: Block) -> None:
        if not block.is_filler and self._hang_up is None:
            self._tell(lambda machine, now: machine.speech_began(now, block.text))

    def _block_closed(self, block: Block) -> None:
        if (place := self._mouth.place(block)) is not None:
            us = self._tracks.person(Side.US)
            self._log.said(us.pk, place, block.text, language=self._language)

    # --- what the session tells -------------------------------------------------------

    async def _follow(self, after: int) -> None:
        """What the caller said, as soon as it is text; and what others ask for."""
        caller = str(self._tracks.person(Side.CALLER).public_id)
        followed = feed().follow(self._session.pk, after=after, passing=False)
        async with contextlib.aclosing(followed) as news:
            async for event in news:
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
        if self.is_over:
            return
        try:
            self._do(what(self._machine, self._clock()))
        except InvalidTransitionError as e:
            log.warning("call.invalid", session=self._session.pk, message=e.message)

    def _do(self, todo: actions.Actions) -> None:
        for action in todo:
            self._carry_out(action)
        self._note()
        self._wait()

    def _carry_out(self, action: actions.Action) -> None:
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
            case actions.OptOut():
                self._drop_caller()
            case actions.Ask(text, history):
                turns.ask(text, _for_responder(history))
            case actions.HangUp(reason, says):
                turns.stop()
                self._hang_up = action
                if says is None:
                    self._finish(reason)
                else:
                    turns.say(self._words(says))

    def _drop_caller(self) -> None:
        """Nothing more of theirs is taken, and what they said goes."""
        person = self._tracks.person(Side.CALLER)
        self._spawn(self._tracks.drop_caller(), name="call.opted_out")
        road = Erasure.Road.PHONE
        self._log.run(lambda: forgetting.forget_here(person, road=road))

    def _note(self) -> None:
        """Keep what changed: the log of states, and the dialogue for a resumption."""
        self._note_states(self._log)
        self._talking.store.save(self.uuid, self._machine.saved())

    def _note_states(self, into: CallLog) -> None:
        news = self._machine.log[self._told :]
        self._told = len(self._machine.log)
        for transition in news:
            into.state(transition.state, transition.why)

    def _wait(self) -> None:
        """Come back when the machine's next timer is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._machine.due()) is not None and not self.is_over:
            delay = max(due[1] - self._clock(), 0.0)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay, self._on_time)

    def _on_time(self) -> None:
        self._tell(lambda machine, now: machine.tick(now))

    # --- how it ends ------------------------------------------------------------------

    async def finish(self, reason: actions.Reason) -> None:
        """End it, whoever asks; returns when everything is written down."""
        self._tell(lambda machine, now: machine.hang_up(now, reason))
        self._finish(reason)
        if self._end is not None:
            await self._end

    def _spawn(self, work: Work, *, name: str) -> asyncio.Task[None]:
        return spawn(work, name=name, session=self._session.pk)

    def _finish(self, reason: actions.Reason) -> None:
        if self._end is None:
            self._end = self._spawn(self._finished(END[reason]), name="call.end")

    async def _finished(self, reason: str) -> None:
        try:
            await self._conclude(reason)
        finally:
            await self._let_go()

    async def _conclude(self, reason: str) -> None:
        log.info("call.ended", session=self._session.pk, reason=reason)
        self._talking.store.forget(self.uuid)
        await database_sync_to_async(calls.ended)(self.uuid, reason=reason)
        # Calls `_stopped`, which lets go of the line; nothing if it has ended.
        await finish.end(self._session.pk, reason=reason)

    async def _stopped(self, why: Stop) -> None:
        """The session ends, or this process does: write down what was heard."""
        if why is Stop.OPTED_OUT:  # asked for elsewhere; the call goes on
            await self._tracks.drop_caller()
            return
        self._turns.stop()
        await self._tracks.leave()
        self.line.hang_up()
        await self._log.written()  # what is made of the session begins after this
        if why is not Stop.RESTARTING and self._end is None:
            # Ended elsewhere: a moderator, the API.
            self._end = self._spawn(self._finished("ended"), name="call.end")

    def _leave_to_others(self) -> None:
        """The loop hung and the line was cut: Asterisk dials again, here or elsewhere,
        and whoever answers goes on. If nobody does, the reaper ends the session."""
        if self._end is None:
            self.is_over = True  # at once: who dials again begins anew
            self._end = self._spawn(self._let_go(), name="call.left")

    async def _end_unless_taken(self) -> None:
        """The line broke: Asterisk resets it where somebody hung up with sound still on
        its way, and dials again where it was the network. Which it was, shows soon."""
        await self._sleep(BROKEN_S)
        connected = database_sync_to_async(participants.connected)
        if not await connected(self._session.pk):
            self._machine.hung_up(self._clock())
            last = CallLog(self._session.pk)
            self._note_states(last)
            await last.close()
            await self._conclude(END[actions.Reason.CALLER])

    async def _let_go(self) -> None:
        """Nothing of the call stays here; the last words are written down."""
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self._turns.stop()
        self.line.hang_up()
        try:
            await self._tracks.leave()
            await self._log.close()
        finally:
            self._heart.close()
            if self._follower is not None:
                await cancel_and_wait(self._follower)
            for tell in self._over:
                tell(self)

    # --- small things -----------------------------------------------------------------

    @property
    def _language(self) -> str:
        return self._turns.language or settings.TTS_LANGUAGE

    def _words(self, prompt: actions.Prompt) -> str:
        return self._talking.words(
            prompt, language=self._language, records=self._session.record
        )

    def _at_ms(self) -> int:
        """Where the session's timeline stands now."""
        return max(round(timezero.into_s(self._session) * 1000), 0)


def _for_responder(turns: tuple[Turn, ...]) -> port.History:
    return tuple(port.Turn(turn.speaker.value, turn.text) for turn in turns)
