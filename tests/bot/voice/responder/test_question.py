"""A conversation as the messages of an OpenAI-compatible server."""

from __future__ import annotations

from bot.voice.responder.port import Turn, pressed
from bot.voice.responder.question import MAX_CHARS, messages, tools


def roles(history: tuple[Turn, ...], text: str = "And?") -> list[str]:
    return [m["role"] for m in messages("Be kind.", history, text, language="")]


def test_the_prompt_comes_first_and_the_question_last() -> None:
    history = (Turn("caller", "Hello."), Turn("us", "Good day."))
    asked = messages("Be kind.", history, "Who is there?", language="uk")
    assert asked[0]["content"].startswith("Be kind. ")
    assert "'uk'" in asked[0]["content"]
    assert [(m["role"], m["content"]) for m in asked[1:]] == [
        ("user", "Hello."),
        ("assistant", "Good day."),
        ("user", "Who is there?"),
    ]


def test_speakers_take_turns_as_some_models_insist() -> None:
    greeted = (Turn("us", "This call is recorded."), Turn("us", "How can I help?"))
    assert roles(greeted) == ["system", "user", "assistant", "user"]
    asked = messages("", (Turn("caller", "One."),), pressed("1#"), language="")
    assert asked[1]["content"] == "One.\n[1#]"


def test_the_oldest_turns_go_first() -> None:
    history = tuple(Turn("caller", f"{n} " + "x" * 1000) for n in range(100))
    asked = messages("p", history, "And?", language="")
    said = "".join(m["content"] for m in asked[1:])
    assert said.endswith("And?")
    assert "99 x" in said
    assert "10 x" not in said
    assert len(said) < MAX_CHARS + 100


def test_one_turn_without_end_is_cut() -> None:
    asked = messages("p", (), "x" * 10 * MAX_CHARS, language="")
    assert len(asked[1]["content"]) == MAX_CHARS


def test_it_is_offered_to_transfer_only_where_it_may() -> None:
    names = [tool["function"]["name"] for tool in tools(())]
    assert names == ["hang_up"]
    to = tools(("sales", "100"))[1]["function"]["parameters"]["properties"]["to"]
    assert to["enum"] == ["sales", "100"]
