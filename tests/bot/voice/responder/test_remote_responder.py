"""The responder that asks a server, against servers of every kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from loopback import Asked, Script, Server
from structlog.testing import capture_logs

from bot.voice import endpoint
from bot.voice.responder import remote
from bot.voice.responder.port import HangUp, Reply, ResponderError, Transfer, Turn
from bot.voice.responder.remote import RemoteResponder

HISTORY = (Turn("caller", "Hello."), Turn("us", "Good day."))
DONE = "data: [DONE]\n\n"


def event(content: str = "", **fields: Any) -> str:
    delta = {"content": content} | fields
    return f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n"


def finish(reason: str = "stop") -> str:
    choice = {"delta": {}, "finish_reason": reason}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def call(name: str, arguments: str) -> str:
    function = {"name": name, "arguments": arguments}
    return event(tool_calls=[{"index": 0, "function": function}])


def says(*pieces: str | bytes, kind: str = "text/event-stream") -> Script:
    async def script(asked: Asked) -> None:
        await asked.begin(kind)
        for piece in pieces:
            await asked.send(piece)

    return script


@asynccontextmanager
async def asking(
    script: Script, **options: Any
) -> AsyncIterator[tuple[RemoteResponder, Server]]:
    async with Server(script) as server:
        settings: dict[str, Any] = {"model": "m", "prompt": "Be kind."} | options
        responder = RemoteResponder(server.url, **settings)
        try:
            yield responder, server
        finally:
            await responder.close()


async def replies(responder: RemoteResponder) -> list[Reply]:
    answer = responder.respond(HISTORY, "Who is there?", language="en")
    return [reply async for reply in answer]


async def failure(script: Script, **options: Any) -> tuple[list[Reply], ResponderError]:
    """What was said before it failed, and how it did."""
    said: list[Reply] = []

    async def listen(responder: RemoteResponder) -> None:
        async for reply in responder.respond(HISTORY, "Who?", language=""):
            said.append(reply)  # noqa: PERF401 (what came before the error counts)

    async with asking(script, **options) as (responder, _):
        with pytest.raises(ResponderError) as error:
            await listen(responder)
    return said, error.value


async def test_it_asks_as_openai_is_asked() -> None:
    script = says(event("It is me."), finish(), DONE)
    async with asking(script, key="k1", transfers=["sales"]) as (responder, server):
        assert await replies(responder) == ["It is me."]
        (asked,) = server.asked
    assert (asked.path, asked.key) == ("/v1/chat/completions", "Bearer k1")
    assert asked.question["model"] == "m"
    assert asked.question["stream"] is True
    assert [m["role"] for m in asked.question["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    names = [tool["function"]["name"] for tool in asked.question["tools"]]
    assert names == ["hang_up", "transfer"]


async def test_a_server_that_knows_no_tools_is_offered_none() -> None:
    script = says(event("Yes."), DONE)
    options = {"may_act": False, "transfers": ["sales"]}
    async with asking(script, **options) as (responder, server):
        assert await replies(responder) == ["Yes."]
    assert "tools" not in server.asked[0].question
    assert server.asked[0].key == ""


async def test_a_sentence_is_there_while_the_next_is_written() -> None:
    heard = asyncio.Event()

    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        await asked.send(event("Good day. What"))
        await heard.wait()
        await asked.send(event(" can I do?") + finish())
        await asyncio.Event().wait()  # never says DONE, never ends

    async with asking(script) as (responder, _):
        said = responder.respond((), "Hello?", language="en")
        assert await anext(said) == "Good day."
        heard.set()
        assert await anext(said) == "What can I do?"
        await said.aclose()


async def test_it_ends_where_the_server_forgets_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "DRAIN_S", 0.01)

    async def script(asked: Asked) -> None:
        await says(event("Bye."), finish())(asked)
        await asyncio.Event().wait()

    async with asking(script) as (responder, _):
        assert await replies(responder) == ["Bye."]


async def test_it_transfers_and_hangs_up_after_what_it_says() -> None:
    script = says(event("One moment."), call("transfer", '{"to": "sales"}'), DONE)
    async with asking(script, transfers=["sales"]) as (responder, _):
        assert await replies(responder) == ["One moment.", Transfer("sales")]
    async with asking(says(call("hang_up", "{}"), finish("tool_calls"))) as (one, _):
        assert await replies(one) == [HangUp()]


async def test_nobody_talks_it_into_calling_elsewhere() -> None:
    script = says(event("Sure."), call("transfer", '{"to": "0900123456"}'), DONE)
    said, error = await failure(script, transfers=["sales"])
    assert said == ["Sure."]
    assert error.code == "responder_confused"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    message = {"content": "Hello. <think>hm</think>Bye."}
    answer = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    async with asking(says(answer, kind="application/json")) as (responder, _):
        assert await replies(responder) == ["Hello.", "Bye."]


async def test_leaving_closes_the_stream_at_once() -> None:
    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        while True:
            await asked.send(event("One two three. "))
            await asyncio.sleep(0.001)

    async with asking(script) as (responder, server):
        async with aclosing(responder.respond((), "Hello?", language="")) as said:
            assert await anext(said) == "One two three."
        await asyncio.wait_for(server.left.wait(), 5)


async def test_a_cancelled_task_closes_the_stream_at_once() -> None:
    asked_for = asyncio.Event()

    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        asked_for.set()
        await asyncio.Event().wait()

    async with asking(script) as (responder, server):
        task = asyncio.ensure_future(replies(responder))
        await asked_for.wait()
        task.cancel()
        await asyncio.wait_for(server.left.wait(), 5)
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "refused"),
        (403, "refused"),
        (429, "busy"),
        (404, "failed"),
        (500, "failed"),
        (201, "failed"),
    ],
)
async def test_another_status_is_an_error(status: int, code: str) -> None:
    said, error = await failure(lambda asked: asked.refuse(status), key="k1")
    assert (said, error.code) == ([], f"responder_{code}")
    assert str(status) in error.message
    assert "secret" not in error.message


async def test_it_does_not_follow_where_an_answer_points() -> None:
    async with Server(says(event("Gotcha."), DONE)) as other:
        _, error = await failure(lambda asked: asked.redirect(f"{other.url}/x"))
        assert error.code == "responder_failed"
        assert other.asked == []


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        (["data: hello\n\n"], "confused"),
        (['data: {"error": {"message": "overloaded"}}\n\n'], "confused"),
        (["data: " + "[" * 50_000 + "\n\n"], "confused"),
        (["data: " + "x" * 300_000], "confused"),
        (["<html>secret words</html>"], "cut_off"),
        ([], "cut_off"),
        ([event("  "), finish(), DONE], "silent"),
        ([event("<think>Hm."), finish(), DONE], "silent"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error(
    pieces: list[str], code: str
) -> None:
    said, error = await failure(says(*pieces))
    assert (said, error.code) == ([], f"responder_{code}")
    assert "secret" not in error.message


async def test_what_was_whole_before_the_cut_was_said() -> None:
    said, error = await failure(says(event("One. Two"), event(" thr")))
    assert (said, error.code) == (["One."], "responder_cut_off")

    async def script(asked: Asked) -> None:
        await says(event("One. Two"))(asked)
        asked.cut()

    said, error = await failure(script)
    assert (said, error.code) == (["One."], "responder_cut_off")


async def test_what_is_no_utf8_does_no_harm() -> None:
    sentence = event("Good day.").encode().replace(b"day", b"d\xff\xfey")
    async with asking(says(sentence, DONE)) as (responder, _):
        assert await replies(responder) == ["Good d��y."]


@pytest.mark.parametrize("early", [True, False])
async def test_who_never_answers_is_not_waited_for(early: bool) -> None:
    async def script(asked: Asked) -> None:
        if not early:
            await asked.begin("text/event-stream")
        await asyncio.Event().wait()

    said, error = await failure(script, timeout_s=0.05)
    assert (said, error.code) == ([], "responder_timeout")


async def test_signs_of_life_are_no_answer() -> None:
    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        while True:
            await asked.send(": ping\n\n" + event(reasoning_content="Hm"))
            await asyncio.sleep(0.005)

    said, error = await failure(script, timeout_s=0.1)
    assert (said, error.code) == ([], "responder_timeout")


async def test_who_writes_faster_than_one_speaks_has_all_the_time() -> None:
    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        for _ in range(25):
            await asked.send(event("One two three. "))
            await asyncio.sleep(0.02)
        await asked.send(DONE)

    async with asking(script, timeout_s=0.4) as (responder, _):
        assert len(await replies(responder)) == 25


async def test_an_answer_without_end_is_cut_short() -> None:
    async def script(asked: Asked) -> None:
        await asked.begin("text/event-stream")
        while True:
            await asked.send(event("Blah blah. ") * 50)

    async with asking(script) as (responder, server):
        with capture_logs() as logs:
            said = await replies(responder)
        await asyncio.wait_for(server.left.wait(), 5)
    assert len("".join(map(str, said))) <= remote.MAX_REPLY_CHARS + 100
    assert [log["event"] for log in logs] == ["responder.cut"]


async def test_a_huge_answer_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ANSWER_BYTES", 100_000)
    said, error = await failure(says(*[b": " + b"x" * 1000 + b"\n"] * 1000))
    assert (said, error.code) == ([], "responder_too_long")


async def test_a_broken_connection_is_tried_once_more() -> None:
    tries = 0

    async def script(asked: Asked) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            asked.cut()
            return
        await says(event("Here."), DONE)(asked)

    async with asking(script) as (responder, server):
        assert await replies(responder) == ["Here."]
        assert len(server.asked) == 2


async def test_nobody_there_is_an_error() -> None:
    async with Server(says()) as server:
        url = server.url
    responder = RemoteResponder(url, model="m", prompt="p")
    with pytest.raises(ResponderError) as error:
        await replies(responder)
    assert error.value.code == "responder_unreachable"
    await responder.close()


@pytest.mark.parametrize("url", ["", "ftp://x/v1", "file:///etc/x", "http://", "//x"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(ValueError):
        RemoteResponder(url, model="m", prompt="p")


async def test_no_words_and_no_keys_are_logged() -> None:
    script = says(event("One. Two"), event(" thr"))
    with capture_logs() as logs:
        await failure(script, key="k1")
    assert logs == []


async def test_a_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "DRAIN_S", 10.0)
    ports = set()

    async def script(asked: Asked) -> None:
        ports.add(asked._request.transport.get_extra_info("peername"))  # type: ignore[union-attr]
        await says(event("Yes."), finish(), DONE)(asked)

    async with asking(script) as (responder, _):
        for _ in range(3):
            assert await replies(responder) == ["Yes."]
    assert len(ports) == 1
