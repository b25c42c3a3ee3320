"""What responders have in common, and the two simple ones."""

from __future__ import annotations

import asyncio

import pytest

from bot.voice.responder.port import Echo, Listener, Reply, Responder, Transfer, Turn


def replies(responder: Responder, text: str) -> list[Reply]:
    async def collect() -> list[Reply]:
        history = (Turn("us", "Hello."),)
        return [r async for r in responder.respond(history, text, language="en")]

    return asyncio.run(collect())


def test_the_echo_says_what_it_heard() -> None:
    assert replies(Echo(), "two three") == ["two three"]
    assert replies(Echo(), " ") == []


def test_the_listener_says_nothing() -> None:
    assert replies(Listener(), "hello") == []


@pytest.mark.parametrize("to", ["", "a b", "1\n", "x" * 65, "a,b", "${X}", "a/b"])
def test_a_transfer_goes_to_an_extension_and_nothing_else(to: str) -> None:
    with pytest.raises(ValueError):
        Transfer(to)
    assert Transfer("+49.100_*#").to == "+49.100_*#"
