"""Any server that speaks OpenAI's `POST /chat/completions`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog

from bot.voice.endpoint import Answer, Endpoint, EndpointError, Patience
from bot.voice.responder.completion import Completion
from bot.voice.responder.port import History, Reply, ResponderError
from bot.voice.responder.question import messages, tools
from bot.voice.responder.sentences import Sentences
from bot.voice.responder.sse import EventReader

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_REPLY_CHARS = 4000
"""Five minutes of speech. Nobody listens to more: the rest is not waited for."""
SLOWEST_CHARS_A_SECOND = 5.0
"""A third of the speed of speech: what writes slower than this runs out of time."""


class RemoteResponder:
    """A language model behind a server, spoken sentence by sentence as it writes."""

    def __init__(
        self,
        url: str,
        *,
        model: str,
        prompt: str,
        key: str = "",
        transfers: Sequence[str] = (),
        may_act: bool = True,
        timeout_s: float = 15.0,
    ) -> None:
        self._endpoint = Endpoint(f"{url}/chat/completions", key=key)
        self._model = model
        self._prompt = prompt
        self._transfers = tuple(transfers) if may_act else ()
        self._may_act = may_act
        self._timeout_s = timeout_s

    async def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        completion = Completion(transfers=self._transfers)
        sentences = Sentences(language=language)
        silent = True
        asked = messages(self._prompt, history, text, language=language)
        try:
            async with aclosing(self._write(asked, completion)) as pieces:
                async for piece in pieces:
                    for sentence in sentences.feed(piece):
                        silent = False
                        yield sentence
            for sentence in sentences.flush():
                silent = False
                yield sentence
            action = completion.action()
        except EndpointError as e:
            message = f"The responder's server {e.message}."
            raise ResponderError(f"responder_{e.reason}", message) from e
        except ValueError as e:
            message = "The responder's server did not answer as OpenAI's does."
            raise ResponderError("responder_confused", message) from e
        if action is not None:
            yield action
        elif silent:
            raise ResponderError("responder_silent", "The responder said nothing.")

    async def close(self) -> None:
        await self._endpoint.close()

    async def _write(
        self, asked: list[dict[str, str]], completion: Completion
    ) -> AsyncGenerator[str, None]:
        """The text of the answer, in pieces of a word or so."""
        question = {"model": self._model, "messages": asked, "stream": True}
        if self._may_act:
            question["tools"] = tools(self._transfers)
        patience = Patience(self._timeout_s)
        chars = 0
        answering = self._endpoint.ask(
            question, patience=patience, at_most=MAX_ANSWER_BYTES
        )
        async with answering as answer, aclosing(_events(answer)) as events:
            async for event in events:
                text = completion.feed(event)
                patience.earn(len(text) / SLOWEST_CHARS_A_SECOND)
                chars += len(text)
                if text:
                    yield text
                if chars > MAX_REPLY_CHARS:
                    log.warning("responder.cut", chars=chars)
                    return
                if completion.finished:
                    break
            if not completion.finished:
                raise EndpointError("cut_off", "broke off in mid-answer")
            yield f"{completion.rest()}\n"  # that line is over: say it now
            await answer.drain()


async def _events(answer: Answer) -> AsyncGenerator[str, None]:
    """The events of a stream; of a server that does not stream, the one answer."""
    if answer.content_type == "application/json":
        whole = bytearray()
        while piece := await answer.read():
            whole += piece
        yield whole.decode("utf-8", "replace")
        return
    reader = EventReader()
    while piece := await answer.read():
        for event in reader.feed(piece):
            yield event
    for event in reader.flush():
        yield event
