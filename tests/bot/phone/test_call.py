"""A conversation by the clock: what follows what, when, and what is done about it."""

from __future__ import annotations

import pytest
from conversation import in_state, listening

from bot.phone.actions import (
    Ask,
    HangUp,
    OptOut,
    PlayFiller,
    Reason,
    Say,
    StopAnswering,
    StopSpeaking,
)
from bot.phone.call import Call, Rules, Timer
from bot.phone.dialogue import Saved, Speaker, Turn
from bot.phone.prompts import Prompt
from bot.phone.states import State

ANSWER = (StopSpeaking(), StopAnswering())


def states(call: Call) -> list[str]:
    return [transition.state.value for transition in call.log]


def test_a_call_is_a_conversation() -> None:
    call = Call(Rules(), now=10.0, at_ms=500)
    assert call.begin(10.0) == (Say(Prompt.GREETING),)
    call.speech_began(10.1, "Hello!")
    assert call.speech_ended(12.0, heard_s=12.2) == ()
    assert call.caller_began(13.0) == call.caller_ended(14.0) == ()
    greeting = Turn(Speaker.US, "Hello!", 600)
    assert call.caller_said(14.5, " What time? ") == (Ask("What time?", (greeting,)),)
    assert call.block_arrived(15.0) == call.speech_began(15.2, "It is noon.") == ()
    assert call.speech_began(16.0, "Anything else?") == ()
    assert call.speech_ended(17.0, heard_s=17.2) == ()
    assert call.turns == (
        greeting,
        Turn(Speaker.CALLER, "What time?", 5000),
        Turn(Speaker.US, "It is noon. Anything else?", 5700),
    )
    call.hung_up(18.0)
    assert [(entry.state.value, entry.at_s) for entry in call.log] == [
        ("connected", 10.0),
        ("greeting", 10.0),
        ("listening", 12.0),
        ("processing", 14.5),
        ("speaking", 15.2),
        ("listening", 17.0),
        ("ended", 18.0),
    ]
    assert call.log[-1].why == "caller_hung_up"


# --- silence ------------------------------------------------------------------------


def test_it_asks_after_ten_seconds_of_silence_and_hangs_up_after_ten_more() -> None:
    call = listening()
    assert call.due() == (Timer.STILL_THERE, 110.0)
    assert call.tick(109.999) == ()
    assert call.tick(110.0) == (Say(Prompt.STILL_THERE),)
    call.speech_began(110.0, "Are you still there?")
    assert call.tick(111.0) == ()
    call.speech_ended(111.3, heard_s=111.5)
    assert call.due() == (Timer.SILENCE, 121.5)
    assert call.tick(121.499) == ()
    assert call.tick(121.5) == (HangUp(Reason.SILENCE),)
    assert call.log[-1].why == "silence"


def test_it_hangs_up_at_twenty_seconds_where_the_prompt_takes_no_time() -> None:
    call = listening()
    assert call.tick(110.0) == (Say(Prompt.STILL_THERE),)
    call.speech_ended(110.0, heard_s=110.0)
    assert call.tick(119.999) == ()
    assert call.tick(120.0) == (HangUp(Reason.SILENCE),)


def test_speech_of_the_caller_stops_the_clock_and_begins_it_anew() -> None:
    call = listening()
    call.caller_began(109.0)
    assert call.tick(125.0) == ()
    call.caller_ended(130.0)
    assert call.tick(139.9) == ()
    assert call.tick(140.0) == (Say(Prompt.STILL_THERE),)


def test_a_caller_who_answers_the_prompt_is_asked_again_another_time() -> None:
    call = listening()
    call.tick(110.0)
    assert call.caller_began(110.5) == ANSWER
    call.caller_ended(111.0)
    assert call.tick(121.0) == (Say(Prompt.STILL_THERE),)


def test_what_we_say_and_think_is_no_silence() -> None:
    call = listening(Rules(filler_delay_s=0))
    call.caller_said(105.0, "Tell me a story.")
    assert call.tick(200.0) == ()
    call.speech_began(200.0, "Once upon a time.")
    assert call.tick(300.0) == ()
    call.speech_ended(300.0, heard_s=300.2)
    assert call.due() == (Timer.STILL_THERE, 310.2)


def test_a_key_is_no_silence() -> None:
    call = listening(Rules(answers=True))
    call.tick(110.0)
    call.speech_ended(110.0, heard_s=110.0)
    call.digit(119.0, "5")
    assert call.due() == (Timer.DIGITS, 121.0)
    call = listening(Rules(answers=False))
    assert call.digit(119.0, "5") == ()


def test_a_line_that_dies_while_the_caller_speaks_is_hung_up_in_the_end() -> None:
    call = listening()
    call.caller_began(105.0)
    assert call.due() == (Timer.STILL_THERE, 175.0)
    assert call.tick(175.0) == (Say(Prompt.STILL_THERE),)
    assert call.speech_began(175.1, "Are you still there?") == ()
    call.speech_ended(176.0, heard_s=176.0)
    assert call.tick(186.0) == (HangUp(Reason.SILENCE),)


def test_a_long_speech_in_pieces_is_no_dead_line() -> None:
    call = listening()
    call.caller_began(105.0)
    assert call.caller_said(160.0, "First,") == ()
    assert call.due() == (Timer.STILL_THERE, 230.0)
    assert call.tick(230.0) == (Say(Prompt.STILL_THERE),)
    (asked,) = call.speech_ended(231.0, heard_s=231.2)
    assert isinstance(asked, Ask)
    assert asked.text == "First,"


@pytest.mark.parametrize("rules", [Rules(answers=False), Rules(silence_s=0)])
def test_some_lines_may_be_silent(rules: Rules) -> None:
    call = listening(rules)
    assert call.due() == (Timer.LENGTH, 90.0 + rules.max_s)
    assert call.tick(10_000.0) == ()


def test_silence_does_nothing_to_a_transfer() -> None:
    call = listening()
    call.caller_said(101.0, "An operator, please.")
    call.speech_began(102.0, "One moment.")
    assert call.transfer(102.1) == ()
    assert call.due() == (Timer.LENGTH, 90.0 + 14400.0)
    assert call.tick(1000.0) == call.caller_began(1000.0) == ()
    assert call.speech_ended(1001.0, heard_s=1001.0) == (HangUp(Reason.TRANSFER),)
    assert states(call)[-3:] == ["speaking", "transferring", "ended"]


def test_a_transfer_waits_for_an_answer_that_is_on_its_way() -> None:
    call = in_state(State.PROCESSING)
    call.block_arrived(101.0)
    assert call.transfer(101.0) == ()
    assert call.speech_began(101.2, "I put you through.") == ()
    assert call.speech_ended(102.0, heard_s=102.2) == (HangUp(Reason.TRANSFER),)


# --- how long -----------------------------------------------------------------------


def test_no_call_is_longer_than_it_may_be() -> None:
    call = listening(Rules(max_s=600))
    call.caller_began(689.0)
    assert call.tick(689.9) == ()
    assert call.tick(690.0) == (HangUp(Reason.LENGTH, Prompt.GOODBYE),)
    assert call.log[-1].why == "too_long"


def test_a_call_that_broke_off_is_no_longer_for_it() -> None:
    saved = listening().saved()
    call = Call.resumed(saved, Rules(max_s=600), now=5.0, at_ms=400_000)
    assert call.due() == (Timer.LENGTH, 205.0)


def test_a_call_may_be_as_long_as_it_likes() -> None:
    assert listening(Rules(max_s=0, silence_s=0)).due() is None


def test_goodbye_is_said_when_we_end_it() -> None:
    call = in_state(State.SPEAKING)
    ended = call.hang_up(101.0, says=Prompt.GOODBYE)
    assert ended == (HangUp(Reason.ASKED, Prompt.GOODBYE),)


# --- answering ----------------------------------------------------------------------


def test_the_filler_is_played_once_when_no_block_came_in_time() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather?")
    assert call.due() == (Timer.FILLER, 108.0)
    assert call.tick(107.999) == ()
    assert call.tick(108.0) == (PlayFiller(),)
    assert call.tick(120.0) == ()


def test_every_question_may_have_its_filler() -> None:
    call = listening()
    for asked_s in (105.0, 205.0):
        call.caller_said(asked_s, "What is the weather?")
        assert call.tick(asked_s + 3.0) == (PlayFiller(),)
        call.speech_began(asked_s + 4.0, "It rains.")
        call.speech_ended(asked_s + 5.0, heard_s=asked_s + 5.2)


def test_the_first_block_takes_the_filler_away() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather?")
    call.block_arrived(107.9)
    assert call.tick(108.5) == ()


def test_there_is_no_filler_while_the_caller_speaks() -> None:
    call = listening()
    call.caller_said(105.0, "What is")
    call.caller_began(106.0)
    assert call.tick(109.0) == ()


def test_speech_stops_the_filler_but_not_the_answer() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather?")
    call.tick(108.0)
    assert call.caller_began(108.5) == (StopSpeaking(),)
    assert call.state is State.PROCESSING


def test_speech_over_the_filler_stops_an_answer_that_waits_behind_it() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather?")
    call.tick(108.0)
    call.block_arrived(108.2)
    assert call.caller_began(108.5) == ANSWER
    assert call.state is State.LISTENING


def test_who_goes_on_speaking_is_asked_for_with_all_they_said() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather")
    call.caller_began(105.2)
    call.caller_ended(106.0)
    history = (Turn(Speaker.US, "Hello!", 0),)
    asked = call.caller_said(106.5, "in Kyiv?")
    assert asked == (Ask("What is the weather in Kyiv?", history),)
    assert states(call)[-1] == "processing"


def test_nobody_is_asked_while_the_caller_still_speaks() -> None:
    call = listening()
    call.caller_began(101.0)
    assert call.caller_said(116.0, "A long story") == ()
    (asked,) = call.caller_ended(118.0)
    assert isinstance(asked, Ask)
    assert asked.text == "A long story"


def test_an_utterance_without_words_asks_nobody() -> None:
    call = listening()
    assert call.caller_said(101.0, "  ") == ()
    assert call.state is State.LISTENING


def test_an_answer_is_not_begun_over_the_caller() -> None:
    call = listening()
    call.caller_said(105.0, "What is the weather?")
    call.caller_began(106.0)
    call.block_arrived(106.1)
    assert call.speech_began(106.2, "It rains.") == ANSWER
    assert states(call)[-2:] == ["speaking", "listening"]
    assert call.turns[-1].text == "What is the weather?"


def test_an_apology_is_said_when_the_answer_fails() -> None:
    call = in_state(State.PROCESSING)
    assert call.answer_failed(101.0) == (Say(Prompt.APOLOGY),)
    assert call.tick(110.0) == ()
    call.speech_began(101.0, "I am sorry.")
    call.speech_ended(102.0, heard_s=102.0)
    (asked,) = call.caller_said(103.0, "Again?")
    assert isinstance(asked, Ask)
    assert asked.text == "Again?"


def test_nobody_apologises_over_the_caller() -> None:
    call = in_state(State.PROCESSING)
    call.caller_began(100.5)
    assert call.answer_failed(101.0) == (StopAnswering(),)


def test_an_answer_without_words_goes_back_to_listening() -> None:
    call = in_state(State.PROCESSING)
    assert call.speech_ended(101.0, heard_s=101.0) == ()
    assert call.due() == (Timer.STILL_THERE, 111.0)


def test_nobody_is_asked_where_nobody_answers() -> None:
    call = listening(Rules(answers=False))
    assert call.caller_said(101.0, "Hello?") == call.digit(102.0, "#") == ()
    assert call.state is State.LISTENING
    assert call.turns[-1].text == "Hello?"


# --- barge-in -----------------------------------------------------------------------


def test_speech_of_the_caller_stops_ours_at_once() -> None:
    call = in_state(State.SPEAKING)
    assert call.caller_began(100.3) == ANSWER
    assert call.state is State.LISTENING
    assert call.log[-1].why == "caller spoke"


def test_the_greeting_is_heard_to_its_end_and_what_was_said_meanwhile_asked() -> None:
    call = Call(Rules(), now=0.0)
    call.begin(0.0)
    call.speech_began(0.0, "Hello! This call is recorded.")
    assert call.caller_began(1.0) == call.caller_ended(1.5) == ()
    assert call.caller_said(2.0, "Good morning!") == ()
    (asked,) = call.speech_ended(3.0, heard_s=3.2)
    assert isinstance(asked, Ask)
    assert asked.text == "Good morning!"
    assert states(call)[-2:] == ["listening", "processing"]


def test_a_greeting_may_be_interruptible() -> None:
    call = Call(Rules(is_greeting_interruptible=True), now=0.0)
    call.begin(0.0)
    assert call.caller_began(1.0) == (StopSpeaking(),)
    assert call.state is State.LISTENING


# --- keys ---------------------------------------------------------------------------


def test_digits_are_asked_together_after_a_pause() -> None:
    call = listening()
    assert call.digit(101.0, "4") == call.digit(102.5, "2") == ()
    assert call.tick(104.4) == ()
    (asked,) = call.tick(104.5)
    assert isinstance(asked, Ask)
    assert asked.text == "42"


def test_a_hash_ends_the_digits() -> None:
    call = listening()
    call.digit(101.0, "7")
    (asked,) = call.digit(101.2, "#")
    assert isinstance(asked, Ask)
    assert asked.text == "7#"


def test_a_key_stops_what_we_say() -> None:
    call = in_state(State.SPEAKING)
    assert call.digit(101.0, "1") == ANSWER
    assert call.due() == (Timer.DIGITS, 103.0)


def test_keys_pressed_during_the_greeting_count_after_it() -> None:
    call = in_state(State.GREETING)
    assert call.digit(101.0, "3") == call.tick(104.0) == ()
    (asked,) = call.speech_ended(105.0, heard_s=105.0)
    assert isinstance(asked, Ask)


def test_what_is_typed_and_then_said_is_asked_in_that_order() -> None:
    call = listening()
    call.digit(101.0, "3")
    (asked,) = call.caller_said(102.0, "apples")
    assert isinstance(asked, Ask)
    assert asked.text == "3 apples"


# --- going on after a crash ----------------------------------------------------------


def test_a_resumed_call_is_not_greeted_again_and_its_timers_begin_anew() -> None:
    call = listening()
    call.caller_said(101.0, "Hello!")
    call.speech_began(102.0, "How are you?")
    saved = Saved.from_json(call.saved().to_json())
    again = Call.resumed(saved, Rules(), now=7.0, at_ms=30_000)
    assert again.begin(7.5) == ()
    assert again.turns == call.turns
    assert states(again) == ["connected", "listening"]
    assert again.log[-1].why == "resumed"
    assert again.due() == (Timer.STILL_THERE, 17.5)
    again.caller_said(8.0, "Fine.")
    assert again.turns[-1] == Turn(Speaker.CALLER, "Fine.", 31_000)


def test_a_question_that_a_crash_left_open_is_asked_again() -> None:
    call = listening()
    call.caller_said(101.0, "What time is it?")
    again = Call.resumed(call.saved(), Rules(), now=7.0, at_ms=30_000)
    assert again.begin(7.0) == (Ask("What time is it?", call.turns[:1]),)


def test_a_greeting_that_a_crash_cut_off_is_said_in_full() -> None:
    saved = in_state(State.GREETING).saved()
    again = Call.resumed(saved, Rules(), now=7.0, at_ms=1000)
    assert again.begin(7.0) == (Say(Prompt.GREETING),)


# --- not being recorded ---------------------------------------------------------------

OPTS_OUT = (OptOut(), Say(Prompt.OPTED_OUT))


def test_a_key_ends_the_recording_where_nobody_answers() -> None:
    call = listening(Rules(answers=False, optout_digit="9"))
    assert call.digit(20.0, "8") == ()
    assert call.digit(21.0, "9") == OPTS_OUT
    assert call.digit(22.0, "9") == ()


def test_where_somebody_answers_it_counts_in_the_greeting_only() -> None:
    call = Call(Rules(optout_digit="9"), now=10.0)
    call.begin(10.0)
    assert call.digit(11.0, "9") == OPTS_OUT
    assert OptOut() not in listening(Rules(optout_digit="9")).digit(20.0, "9")


def test_without_a_key_there_is_none() -> None:
    assert listening(Rules(answers=False)).digit(20.0, "9") == ()


def test_silence_is_not_held_against_whoever_is_not_heard() -> None:
    call = Call(Rules(optout_digit="9", max_s=0), now=10.0)
    call.begin(10.0)
    call.digit(11.0, "9")
    call.speech_began(11.5, "Hello!")
    call.speech_ended(12.0, heard_s=12.0)
    assert call.due() is None
