"""What a call says by itself, in which language, and what of it can be set."""

from __future__ import annotations

import pytest

from bot.phone.prompts import BUILT_IN, NOT_RECORDED, RECORDED, Prompt, Prompts

LANGUAGES = ["en", "uk", "de", "fr", "es", "pl"]


@pytest.mark.parametrize("prompt", Prompt)
def test_every_prompt_is_there_in_every_language(prompt: Prompt) -> None:
    texts = {Prompts().text(prompt, language=language) for language in LANGUAGES}
    assert len(texts) == len(LANGUAGES)
    assert list(BUILT_IN[prompt]) == list(RECORDED) == list(NOT_RECORDED) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_greeting_says_whether_the_call_is_recorded(language: str) -> None:
    greet = Prompt.GREETING
    recorded = Prompts().text(greet, language=language)
    private = Prompts(records=False).text(greet, language=language)
    assert RECORDED[language] in recorded
    assert NOT_RECORDED[language] in private
    assert "{" not in recorded + private


def test_where_nobody_answers_the_greeting_offers_no_help() -> None:
    prompts = Prompts(answers=False)
    assert prompts.text(Prompt.GREETING, language="en") == "This call is recorded."


@pytest.mark.parametrize("language", ["uk", "uk-UA", "UK_ua", " uk "])
def test_a_language_may_have_a_country(language: str) -> None:
    assert Prompts().text(Prompt.STILL_THERE, language=language) == "Ви ще на лінії?"


@pytest.mark.parametrize("language", ["", "ja", "tlh-x"])
def test_a_language_that_nobody_translated_gets_english(language: str) -> None:
    text = Prompts().text(Prompt.STILL_THERE, language=language)
    assert text == "Are you still there?"


def test_a_text_that_was_set_is_said_instead() -> None:
    prompts = Prompts({Prompt.GOODBYE: {"en": "Bye!"}})
    assert prompts.text(Prompt.GOODBYE, language="en-GB") == "Bye!"
    assert prompts.text(Prompt.GOODBYE, language="pl").startswith("Dziękuję")
    anywhere = Prompts({Prompt.GOODBYE: {"en": "Bye!", "*": "Ciao!"}})
    assert anywhere.text(Prompt.GOODBYE, language="pl") == "Ciao!"


def test_an_empty_text_says_nothing() -> None:
    assert Prompts({Prompt.FILLER: {"*": ""}}).text(Prompt.FILLER, language="en") == ""


def test_a_greeting_that_was_set_may_hold_the_notice() -> None:
    prompts = Prompts({Prompt.GREETING: {"*": "Acme. {notice} Speak {freely}!"}})
    greeting = prompts.text(Prompt.GREETING, language="en")
    assert greeting == "Acme. This call is recorded. Speak {freely}!"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_greeting_names_the_key_that_ends_the_recording(language: str) -> None:
    prompts = Prompts(optout_digit="9")
    greeting = prompts.text(Prompt.GREETING, language=language)
    assert "9" in greeting
    assert greeting != Prompts().text(Prompt.GREETING, language=language)
    private = Prompts(records=False, optout_digit="9")
    assert "9" not in private.text(Prompt.GREETING, language=language)
