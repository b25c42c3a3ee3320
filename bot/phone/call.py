"""The conversation of one call: in which state it is, and what is to be done next.

Told what happens and when (`now`: seconds of a monotonic clock), it answers with
actions. Never plays, hears or waits for anything itself.

Two kinds of telling: reports of the world (the caller speaks, hangs up, our sound has
been played) are taken in every state in which they can come, and a call that is over
ignores them; what we decide (`begin`, `transfer`, an answer's blocks) raises
InvalidTransitionError where the table has no way for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.phone.actions import (
    Actions,
    Ask,
    HangUp,
    OptOut,
    PlayFiller,
    Reason,
    Say,
    StopAnswering,
    StopSpeaking,
)
from bot.phone.dialogue import Saved, Speaker, Turn, unanswered, with_turn
from bot.phone.prompts import Prompt
from bot.phone.states import ALLOWED, InvalidTransitionError, State, Transition

# Nobody types slower than this within a number; `#` ends it at once.
DIGITS_PAUSE_S = 2.0
DIGITS_MAX = 64
# Speech that has not ended after so long is a line that went dead in mid-word.
SPEECH_MAX_S = 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for a call; a length of 0 s is none.

    Without `answers` (record and listen only) nobody is asked, and silence is never
    held against the caller: a recorded line between people must not be hung up.
    """

    answers: bool = True
    greets: bool = True
    is_greeting_interruptible: bool = False
    silence_s: float = 10.0
    filler_delay_s: float = 3.0
    max_s: float = 14400.0
    optout_digit: str = ""
    """The key that ends the caller's recording; "" is none. Where somebody answers,
    it counts only in the greeting: behind it, it is part of a number."""


class Timer(StrEnum):
    """What a call waits for: one thing at a time."""

    STILL_THERE = "still_there"
    SILENCE = "silence"
    FILLER = "filler"
    DIGITS = "digits"
    LENGTH = "length"


class Call:
    """One call. `at_ms` is where the session's timeline stands at `now`."""

    def __init__(self, rules: Rules, *, now: float, at_ms: int = 0) -> None:
        self._rules = rules
        self._zero_s = now - at_ms / 1000
        self._turns: tuple[Turn, ...] = ()
        self._log = [Transition(State.CONNECTED, now, "connected")]
        self._is_greeted = False  # on an earlier connection
        self._quiet_since_s = now  # neither side has made a sound since
        self._speech_since_s: float | None = None  # the caller's, while it lasts
        self._was_prompted = False
        self._asked_at_s = now
        self._has_unasked = False  # the caller said what nobody was asked yet
        self._awaits_block = False
        self._was_filled = False
        self._digits = ""
        self._digits_until_s = now
        self._is_opted_out = False

    @classmethod
    def resumed(cls, saved: Saved, rules: Rules, *, now: float, at_ms: int) -> Call:
        """A call that broke off and was dialled again: same dialogue, fresh timers.

        It is greeted again only if it broke off before the greeting was over; a
        question that nobody answered is asked again.
        """
        call = cls(rules, now=now, at_ms=at_ms)
        call._turns = saved.turns
        call._is_greeted = saved.state not in (State.CONNECTED, State.GREETING)
        call._has_unasked = rules.answers and unanswered(saved.turns) > 0
        return call

    # --- what can be read -----------------------------------------------------------

    @property
    def state(self) -> State:
        return self._log[-1].state

    @property
    def log(self) -> Sequence[Transition]:
        """Every transition, the oldest first."""
        return self._log

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self._turns

    def saved(self) -> Saved:
        """What `resumed` needs."""
        return Saved(self.state, self._turns)

    def due(self) -> tuple[Timer, float] | None:
        """What `tick` will do next, and when: seconds of the clock of `now`."""
        timers = [timer for timer in (self._waits_for(), self._limit()) if timer]
        return min(timers, key=lambda timer: timer[1], default=None)

    # --- how it begins and ends -----------------------------------------------------

    def begin(self, now: float) -> Actions:
        """Greet, or listen where there is no greeting or it was heard before."""
        self._require("begin", State.CONNECTED)
        if self._rules.greets and not self._is_greeted:
            self._go(State.GREETING, now, "connected")
            return (Say(Prompt.GREETING),)
        self._quiet_since_s = now
        self._go(State.LISTENING, now, "resumed" if self._is_greeted else "connected")
        return self._ask_if_due(now)

    def transfer(self, now: float) -> Actions:
        """Hand the caller over; what is being said is said to its end first."""
        is_answer_coming = (
            self.state is State.PROCESSING
            and not self._awaits_block
            and not self._has_unasked
        )
        is_heard = self.state in (State.GREETING, State.SPEAKING)
        self._go(State.TRANSFERRING, now, "asked")
        if is_heard or is_answer_coming:
            return ()
        return self._end(now, Reason.TRANSFER)

    def hang_up(
        self, now: float, reason: Reason = Reason.ASKED, *, says: Prompt | None = None
    ) -> Actions:
        """We end the call; nothing happens to one that is over."""
        return () if self._is_over else self._end(now, reason, says)

    def hung_up(self, now: float) -> Actions:
        """The caller is gone: the connection was closed, in whatever state."""
        if not self._is_over:
            self._go(State.ENDED, now, Reason.CALLER)
        return ()

    # --- what the caller does -------------------------------------------------------

    def caller_began(self, now: float) -> Actions:
        """The caller speaks: ours stops, and the timers too, until they have ended."""
        if self._is_over:
            return ()
        self._speech_since_s = now
        self._was_prompted = False
        if self.state is State.PROCESSING and (
            self._awaits_block or not self._was_filled
        ):
            # Perhaps a cough: the answer is awaited, only the filler gives way.
            return (StopSpeaking(),) if self._was_filled else ()
        return self._interrupt(now, "caller spoke")

    def caller_ended(self, now: float) -> Actions:
        """The caller is silent; the words of it come later, by `caller_said`."""
        if self._is_over:
            return ()
        self._speech_since_s = None
        self._quiet_since_s = max(self._quiet_since_s, now)
        return self._ask_if_due(now)

    def caller_said(self, now: float, text: str) -> Actions:
        """The text of an utterance; an empty one was no speech."""
        if self._is_over or not text.strip():
            return ()
        self._take_digits(now)
        self._take(now, Speaker.CALLER, text)
        self._was_prompted = False
        self._has_unasked = self._rules.answers
        if self._speech_since_s is not None:
            self._speech_since_s = now  # a long one, cut in pieces: a sign of life
        if self.state is State.PROCESSING:
            return self._ask_if_due(now)
        return (*self._interrupt(now, "caller spoke"), *self._ask_if_due(now))

    def digit(self, now: float, digit: str) -> Actions:
        """A key was pressed: digits are asked together, after a pause or a `#`."""
        if self._is_over or self.state is State.TRANSFERRING:
            return ()
        self._was_prompted = False
        self._quiet_since_s = max(self._quiet_since_s, now)
        if self._opts_out(digit):
            self._is_opted_out = True
            return (OptOut(), Say(Prompt.OPTED_OUT))
        if not self._rules.answers:
            return ()
        self._digits = (self._digits + digit)[:DIGITS_MAX]
        self._digits_until_s = now if digit == "#" else now + DIGITS_PAUSE_S
        return (*self._interrupt(now, "digit"), *self._ask_if_due(now))

    def _opts_out(self, digit: str) -> bool:
        rules = self._rules
        is_told = self.state in (State.CONNECTED, State.GREETING) or not rules.answers
        return digit == rules.optout_digit and is_told and not self._is_opted_out

    # --- what we say ----------------------------------------------------------------

    def block_arrived(self, now: float) -> Actions:
        """The responder's answer begins: there will be no filler any more."""
        if not self._is_over:
            answering = (State.PROCESSING, State.SPEAKING, State.TRANSFERRING)
            self._require("answer", *answering)
            self._awaits_block = False
        return ()

    def answer_failed(self, now: float) -> Actions:
        """There will be no answer, or no more of it; `speech_ended` follows as ever."""
        if self._is_over or self.state is State.TRANSFERRING:
            return ()
        self._require("apologise", State.PROCESSING, State.SPEAKING)
        if self._speech_since_s is not None:
            return self._interrupt(now, "caller spoke")
        if self.state is State.PROCESSING:
            self._go(State.SPEAKING, now, "answer failed")
        return (Say(Prompt.APOLOGY),)

    def speech_began(self, now: float, text: str) -> Actions:
        """The first frame of a prompt or a block goes out.

        While the caller speaks it does not: ours is stopped before it is heard.
        """
        if self._is_over:
            return ()
        if self.state in (State.LISTENING, State.PROCESSING):
            self._go(State.SPEAKING, now, "we spoke")
            if self._speech_since_s is not None:
                return self._interrupt(now, "caller spoke")
        speaking = (State.GREETING, State.SPEAKING, State.TRANSFERRING)
        self._require("speak", *speaking)
        if text.strip():
            self._take(now, Speaker.US, text)
        return ()

    def speech_ended(self, now: float, *, heard_s: float) -> Actions:
        """All of what we had to say went out; a pause between blocks is no end.

        `heard_s`: when it has been heard, the last frame's deadline and the phone's
        buffer. Silence counts from there. An answer of no words ends so too.
        """
        if self._is_over:
            return ()
        if self.state is State.CONNECTED:
            raise InvalidTransitionError(self.state, "end its speech")
        self._quiet_since_s = max(self._quiet_since_s, heard_s)
        if self.state is State.TRANSFERRING:
            return self._end(now, Reason.TRANSFER)
        if self.state is not State.LISTENING:
            # In processing nothing was said: there was no answer.
            self._go(State.LISTENING, now, "we ended")
        return self._ask_if_due(now)

    # --- time -----------------------------------------------------------------------

    def tick(self, now: float) -> Actions:
        """Do what is due; to be called often, or at the time that `due` names."""
        if (due := self.due()) is None or now < due[1]:
            return ()
        match due[0]:
            case Timer.LENGTH:
                is_ours = self.state is not State.TRANSFERRING and self._rules.answers
                says = Prompt.GOODBYE if is_ours else None
                return self._end(now, Reason.LENGTH, says)
            case Timer.SILENCE:
                return self._end(now, Reason.SILENCE)
            case Timer.STILL_THERE:
                self._speech_since_s = None
                self._was_prompted = True
                self._go(State.SPEAKING, now, "silence")
                return (Say(Prompt.STILL_THERE),)
            case Timer.FILLER:
                self._was_filled = True
                return (PlayFiller(),)
            case Timer.DIGITS:
                return self._ask_if_due(now)

    def _waits_for(self) -> tuple[Timer, float] | None:
        """The timer of the state. Not set and cleared but read off, so never stale."""
        rules, speech_s = self._rules, self._speech_since_s
        if self.state is State.PROCESSING:
            waits = self._awaits_block and not self._was_filled and speech_s is None
            if waits and rules.filler_delay_s:
                return Timer.FILLER, self._asked_at_s + rules.filler_delay_s
        if self.state is not State.LISTENING or not rules.answers:
            return None
        if self._is_opted_out:
            return None  # they are not heard: that is no silence
        if self._digits and speech_s is None:
            return Timer.DIGITS, self._digits_until_s
        if not rules.silence_s:
            return None
        since_s = self._quiet_since_s
        if speech_s is not None:
            since_s = max(since_s, speech_s + SPEECH_MAX_S)
        timer = Timer.SILENCE if self._was_prompted else Timer.STILL_THERE
        return timer, since_s + rules.silence_s

    def _limit(self) -> tuple[Timer, float] | None:
        if self._is_over or not self._rules.max_s:
            return None
        return Timer.LENGTH, self._zero_s + self._rules.max_s

    # --- how it moves ---------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self.state is State.ENDED

    def _require(self, asked: str, *states: State) -> None:
        if self.state not in states:
            raise InvalidTransitionError(self.state, asked)

    def _go(self, to: State, now: float, why: str) -> None:
        if to not in ALLOWED[self.state]:
            raise InvalidTransitionError(self.state, to.value)
        self._log.append(Transition(to, now, why))

    def _end(self, now: float, reason: Reason, says: Prompt | None = None) -> Actions:
        self._go(State.ENDED, now, reason)
        return (HangUp(reason, says),)

    def _interrupt(self, now: float, why: str) -> Actions:
        """Barge-in: stop what is ours, and listen; nothing where nothing is ours."""
        was = self.state
        if was is State.GREETING and self._rules.is_greeting_interruptible:
            stopped: Actions = (StopSpeaking(),)
        elif was is State.SPEAKING or (was is State.PROCESSING and self._was_filled):
            stopped = (StopSpeaking(), StopAnswering())
        elif was is State.PROCESSING:
            stopped = (StopAnswering(),)
        else:
            return ()
        self._quiet_since_s = max(self._quiet_since_s, now)
        self._go(State.LISTENING, now, why)
        return stopped

    def _ask_if_due(self, now: float) -> Actions:
        """Ask what the caller said, unless they still speak or nobody listens."""
        if self._speech_since_s is not None:
            return ()
        if self.state is State.LISTENING and now >= self._digits_until_s:
            self._take_digits(now)
        if not self._has_unasked or self.state not in (
            State.LISTENING,
            State.PROCESSING,
        ):
            return ()
        if self.state is State.LISTENING:
            self._go(State.PROCESSING, now, "caller spoke")
            self._was_filled = False
        self._asked_at_s = now
        self._has_unasked = False
        self._awaits_block = True
        count = unanswered(self._turns)
        before, asked = self._turns[:-count], self._turns[-count:]
        return (Ask(" ".join(turn.text for turn in asked), before),)

    def _take_digits(self, now: float) -> None:
        if self._digits:
            self._take(now, Speaker.CALLER, self._digits)
            self._digits = ""
            self._has_unasked = True

    def _take(self, now: float, speaker: Speaker, text: str) -> None:
        at_ms = max(round((now - self._zero_s) * 1000), 0)
        self._turns = with_turn(self._turns, Turn(speaker, text.strip(), at_ms))
