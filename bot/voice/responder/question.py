"""What an OpenAI-compatible server is asked: a conversation as its messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.voice.responder.completion import HANG_UP, TRANSFER
from bot.voice.responder.port import History, Turn

MAX_TURNS = 60
MAX_CHARS = 24_000
"""The oldest turns go first: no call can make a question without end."""

_RULES = (
    "What you write is spoken: no lists, no markup, no emoji. "
    "Keys the caller presses come in square brackets: [1]."
)
_OPENING = "[connected]"


def messages(
    prompt: str, history: History, text: str, *, language: str
) -> list[dict[str, str]]:
    """System, user, assistant, user …: strictly in turns, as some models insist on."""
    system = f"{prompt} {_RULES}"
    if language:
        system += f" The language of this call is {language!r}."
    asked = [{"role": "system", "content": system}]
    turns = _latest((*history, Turn("caller", text)))
    if turns[0].speaker == "us":
        turns = [Turn("caller", _OPENING), *turns]
    for turn in turns:
        role = "user" if turn.speaker == "caller" else "assistant"
        if asked[-1]["role"] == role:
            asked[-1]["content"] += f"\n{turn.text}"
        else:
            asked.append({"role": role, "content": turn.text})
    return asked


def tools(transfers: Sequence[str]) -> list[dict[str, Any]]:
    """What it may do beside speaking."""
    offered = [_tool(HANG_UP, "End the call, after good-bye.", {})]
    if transfers:
        to = {"to": {"type": "string", "enum": list(transfers)}}
        offered.append(_tool(TRANSFER, "Hand the caller over to a person.", to))
    return offered


def _tool(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def _latest(turns: History) -> list[Turn]:
    kept: list[Turn] = []
    chars = 0
    for turn in reversed(turns[-MAX_TURNS:]):
        chars += len(turn.text)
        if kept and chars > MAX_CHARS:
            break
        kept.append(Turn(turn.speaker, turn.text[:MAX_CHARS]))
    return kept[::-1]
