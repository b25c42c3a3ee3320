"""Sentences out of a text that is still being written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.voice.responder.sentences import LEAST_CHARS, MAX_CHARS, Sentences


def split(text: str, *, language: str = "", piece: int = 1) -> list[str]:
    sentences = Sentences(language=language)
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    ready = [sentence for part in pieces for sentence in sentences.feed(part)]
    return ready + sentences.flush()


@pytest.mark.parametrize(
    "text",
    [
        "Hello. | How are you?",
        "Really?! | Yes! | Good.",
        "It costs 3.5 million. | That is a lot.",
        "Ask Dr. Smith or Mrs. Jones. | They know.",
        "I met J. R. Tolkien. | He was kind.",
        "See example.com for more. | Bye.",
        "The train leaves at 10.30 today. | Hurry!",
        "Bring fruit, e.g. apples. | Thanks.",
        "We open approx. at nine. | See you.",
        "Is it you? | No. | I am her sister.",
        "Well... maybe not. | Let us see.",
        "Wait… | What was that?",
        'He said "Stop." | Then he left.',
        "He asked (twice!) | and left.",
        "1. Open the door. | 2. Close it.",
        "It was 1984. | Nobody knew.",
        "First line | Second line",
        "Добрий день! | Зверніться до д-р. Коваля на вул. Шевченка. | Дякую.",
        "Ви ще на лінії? | Так.",
        "你好。 | 请问有什么可以帮您？ | 谢谢！",
        "नमस्ते। | आप कैसे हैं?",
        "كيف حالك؟ | بخير.",
    ],
)
def test_it_finds_where_sentences_end(text: str) -> None:
    expected = text.split(" | ")
    glue = "" if "。" in text else "\n" if "line" in text else " "
    for piece in (1, 3, 1000):
        assert split(glue.join(expected), piece=piece) == expected


def test_an_ordinal_does_not_end_a_german_sentence() -> None:
    text = "Wir treffen uns am 3. Oktober. Bis dann."
    parts = ["Wir treffen uns am 3. Oktober.", "Bis dann."]
    assert split(text, language="de-AT") == parts
    assert len(split(text, language="en")) == 3


def test_a_sentence_goes_out_before_the_next_one_is_written() -> None:
    sentences = Sentences()
    assert sentences.feed("Hello there") == []
    assert sentences.feed(".") == []
    assert sentences.feed(" I") == ["Hello there."]
    assert sentences.feed(" am here! ") == ["I am here!"]
    assert sentences.feed("Done\n") == ["Done"]
    assert sentences.flush() == []


def test_a_long_sentence_is_cut_at_a_comma() -> None:
    part = "we will look into the matter at the earliest opportunity that there is"
    ready = split(f"{part}, {part}, {part}, {part}.")
    assert ready == [f"{part}, {part},", f"{part}, {part}."]


def test_a_number_is_no_place_to_cut() -> None:
    text = "it costs 1,000,000 " * 12
    assert all("1,000,000" in piece for piece in split(text))


def test_what_has_neither_commas_nor_stops_is_cut_at_a_blank_or_anywhere() -> None:
    assert max(map(len, split("word " * 200))) <= MAX_CHARS
    assert " ".join(split("word " * 200)) == ("word " * 200).strip()
    assert [len(piece) for piece in split("字" * 400)] == [MAX_CHARS, MAX_CHARS, 40]


@settings(max_examples=40)
@given(
    st.text(alphabet="aB 3.,!?…。\n\"'», Дх", max_size=500),
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_nothing_is_lost_or_added_however_it_comes(text: str, sizes: list[int]) -> None:
    sentences = Sentences()
    ready, at, number = [], 0, 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        ready += sentences.feed(text[at : at + size])
        at, number = at + size, number + 1
    ready += sentences.flush()
    assert "".join("".join(ready).split()) == "".join(text.split())
    assert all(0 < len(piece) <= MAX_CHARS for piece in ready[:-1])
    assert LEAST_CHARS < MAX_CHARS
