"""The words of the Discord bot, the same things said in every language."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from bot.discord.notices import (
    LANGUAGES,
    WORDS,
    Notice,
    described,
    language_of,
    reason,
    text,
)

MESSAGE_MAX = 1500
"""Ours, characters: Discord takes 2000, and values come on top."""
DESCRIPTION_MAX = 100
BUTTON_MAX = 80
TITLE_MAX = 256
"""Discord's, characters."""
BUTTONS = [Notice.PANEL_STOP, Notice.PANEL_OPTOUT, Notice.ERASE_BUTTON]
TITLES = [
    Notice.PANEL_TITLE,
    Notice.PANEL_TITLE_UNRECORDED,
    Notice.PANEL_TITLE_ENDED,
    Notice.SESSIONS_TITLE,
]
SPOKEN = [notice for notice in Notice if notice.startswith("spoken.")]

each_language = pytest.mark.parametrize("language", LANGUAGES)


def places(words: str) -> list[str]:
    """The {values} of a text, sorted; with all that stands inside their braces."""
    return sorted(
        f"{name}!{conversion}:{spec}" if spec or conversion else name
        for _, name, spec, conversion in Formatter().parse(words)
        if name is not None
    )


def test_the_first_language_is_english() -> None:
    assert LANGUAGES == ("en", "it", "ro", "uk", "ru")


@each_language
def test_every_notice_has_a_text_and_every_text_a_notice(language: str) -> None:
    assert list(WORDS[language].texts) == list(Notice)


@each_language
def test_every_language_has_the_commands_of_english(language: str) -> None:
    assert list(WORDS[language].commands) == list(WORDS["en"].commands)


@each_language
def test_every_language_has_the_values_of_english(language: str) -> None:
    english = {key: places(words) for key, words in WORDS["en"].texts.items()}
    theirs = {key: places(words) for key, words in WORDS[language].texts.items()}
    assert theirs == english


def test_a_place_is_a_plain_name() -> None:
    for words in WORDS["en"].texts.values():
        assert all(name.isidentifier() for name in places(words)), words


@each_language
def test_a_text_is_neither_empty_nor_long(language: str) -> None:
    for words in WORDS[language].texts.values():
        assert words == words.strip()
        assert 0 < len(words) <= MESSAGE_MAX, words


@pytest.mark.parametrize("language", ["it", "ro", "uk", "ru"])
def test_no_sentence_was_left_in_english(language: str) -> None:
    english, theirs = WORDS["en"].texts, WORDS[language].texts
    sentences = [one for one in Notice if " " in re.sub(r"{\w+}", "", english[one])]
    assert [one for one in sentences if theirs[one] == english[one]] == []


@each_language
def test_the_bold_and_the_code_of_a_text_are_closed(language: str) -> None:
    for words in WORDS[language].texts.values():
        assert words.count("**") % 2 == 0, words
        assert words.count("`") % 2 == 0, words


@each_language
def test_every_text_names_the_commands_that_english_names(language: str) -> None:
    def commands(words: str) -> set[str]:
        return set(re.findall(r"`(/[a-z ]+)`", words))

    for notice in Notice:
        mine = commands(WORDS[language].texts[notice])
        assert mine == commands(WORDS["en"].texts[notice]), notice


@each_language
def test_what_is_read_aloud_is_plain_words(language: str) -> None:
    for notice in SPOKEN:
        assert re.search(r"[*`_{}/<>●]", text(notice, language)) is None, notice


@each_language
def test_buttons_and_titles_fit_where_discord_shows_them(language: str) -> None:
    assert all(len(text(one, language)) <= BUTTON_MAX for one in BUTTONS)
    assert all(len(text(one, language)) <= TITLE_MAX for one in TITLES)


@each_language
def test_a_description_is_as_short_as_discord_wants_it(language: str) -> None:
    for command in WORDS["en"].commands:
        assert 0 < len(described(command, language)) <= DESCRIPTION_MAX, command


def test_an_option_belongs_to_a_command() -> None:
    commands = WORDS["en"].commands
    assert all(name.partition(".")[0] in commands for name in commands)


@each_language
def test_the_help_names_every_command(language: str) -> None:
    words = text(Notice.HELP_TEXT, language)
    for command in WORDS["en"].commands:
        if " " not in command and "." not in command:
            assert re.search(rf"`/{command}\b", words), command


@each_language
def test_the_refused_nickname_names_the_permission_as_the_list_does(
    language: str,
) -> None:
    permission = text(Notice.PERM_CHANGE_NICKNAME, language)
    assert f"**{permission}**" in text(Notice.ERROR_NICKNAME_REFUSED, language)


def test_the_values_are_filled_in() -> None:
    said = text(Notice.ROOM_READY, "en-US", channel="<#42>", seconds=60)
    assert said.startswith("<#42> is yours. Join within 60 seconds")


def test_a_value_with_braces_stays_as_it_is() -> None:
    assert "{count}" in text(Notice.JOINED_NOTICE, "uk", who="{count}")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="seconds"):
        text(Notice.ROOM_READY, "it", channel="<#42>")


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("en-US", "en"),
        ("en-GB", "en"),
        ("it", "it"),
        ("ro", "ro"),
        ("uk", "uk"),
        ("ru", "ru"),
        ("RU_ru", "ru"),
        (" uk-UA ", "uk"),
        ("ja", "en"),
        ("zh-CN", "en"),
        ("", "en"),
    ],
)
def test_a_locale_has_its_language_or_else_english(locale: str, language: str) -> None:
    assert language_of(locale) == language
    assert text(Notice.PANEL_STOP, locale) == text(Notice.PANEL_STOP, language)
    assert described("help", locale) == described("help", language)


@each_language
def test_the_reason_of_an_end_stands_within_a_sentence(language: str) -> None:
    for notice in Notice:
        if notice.startswith("reason."):
            why = reason(notice.removeprefix("reason."), language)
            assert why == text(notice, language)
            assert why[0].islower()
            assert not why.endswith(".")


@each_language
@pytest.mark.parametrize("code", ["", "solar_flare", "title"])
def test_a_reason_nobody_put_into_words_is_an_end(language: str, code: str) -> None:
    assert reason(code, language) == text(Notice.REASON_ENDED, language)


def test_a_command_nobody_described_is_an_error() -> None:
    with pytest.raises(KeyError):
        described("solar flare", "en")
