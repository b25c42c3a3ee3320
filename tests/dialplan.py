"""Enough of Asterisk's dialplan to run the sample: lines, variables, jumps and a few
functions. Servers and the API are told what to do; what it did is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CALL = "40325ec2-5efd-4bd3-805f-53576e581d13"
STEPS_MAX = 1_000
LINE = re.compile(r"(?:exten => ([^,]+),1|\s*same => n)(?:\((\w+)\))?,(\w+)\((.*)\)$")

Step = tuple[str, str, str]
"""A label or nothing, an application, its data."""


def parsed(path: Path) -> tuple[dict[str, str], dict[str, dict[str, list[Step]]]]:
    """The globals, and the steps of each context's extensions. Raises ValueError."""
    known: dict[str, str] = {}
    contexts: dict[str, dict[str, list[Step]]] = {}
    context = extension = ""
    for raw in path.read_text("utf-8").splitlines():
        line = raw.partition(";")[0].rstrip()
        if not line:
            continue
        if line.startswith("["):
            context = line.strip("[]")
            contexts[context] = {}
        elif context == "globals":
            name, _, known[name] = line.partition("=")
        elif (found := LINE.fullmatch(line)) is None:
            raise ValueError(line)
        else:
            extension = found[1] or extension
            step = (found[2] or "", found[3], found[4])
            contexts[context].setdefault(extension, []).append(step)
    return known, contexts


@dataclass
class Dialplan:
    """One caller's way. `dial(server)` is how many milliseconds its leg lasts, None:
    refused; `fetch(address, body)` is what CURL gets."""

    path: Path
    dial: Callable[[str], int | None]
    fetch: Callable[[str, str], str]
    number: str = "+380441234567"
    dialled: list[tuple[str, str]] = field(default_factory=list)
    """Server and UUID of each leg."""
    headers: list[str] = field(default_factory=list)
    waited_s: float = 0.0
    clock_ms: int = 1_795_305_600_000
    """Stands still but for legs and waits."""

    def run(self, context: str, extension: str) -> str:
        """Go until the end: `Hangup`, or `context,extension,priority` where somebody
        else takes over."""
        known, self._contexts = parsed(self.path)
        self._variables = known | {"EXTEN": extension}
        self._steps_left = STEPS_MAX
        return self._run(context, next(iter(self._contexts[context])))

    def _run(self, context: str, extension: str) -> str:
        steps, at = self._contexts[context][extension], 0
        while True:
            self._steps_left -= 1
            assert self._steps_left, "it goes round and round"
            _, application, data = steps[at]
            at += 1
            goal = self._do(application, self._filled(data))
            if goal in ("Hangup", "Return") or "," in goal:
                return goal
            if goal:
                at = [label for label, _, _ in steps].index(goal)

    def _do(self, application: str, data: str) -> str:
        """One step; where to go, when not on."""
        match application:
            case "Hangup" | "Return":
                return application
            case "Goto":
                return data
            case "GotoIf":
                condition, _, label = data.partition("?")
                return label if condition not in ("", "0") else ""
            case "ExecIf":
                condition, _, step = data.partition("?")
                name, _, rest = step.partition("(")
                return "" if condition in ("", "0") else self._do(name, rest[:-1])
            case "Gosub":
                context, extension, rest = data.split(",", 2)
                self._variables["ARG1"] = rest.partition("(")[2].removesuffix(")")
                assert self._run(context, extension) == "Return"
            case "Set":
                self._set(*data.split("=", 1))
            case "Wait":
                self.waited_s += float(data)
                self.clock_ms += round(float(data) * 1000)
            case "Dial":
                self._dial(data)
            case _:
                raise NotImplementedError(application)
        return ""

    def _set(self, name: str, value: str) -> None:
        if name == "CURLOPT(httpheader)":
            self.headers.append(value)
        elif not name.startswith("CURLOPT("):
            self._variables[name] = value

    def _dial(self, data: str) -> None:
        server, call, options = data.removeprefix("AudioSocket/").split("/")
        assert options == "c(slin16),,g"
        self.dialled.append((server, call))
        lasted_ms = self.dial(server)
        self._variables["DIALSTATUS"] = "CHANUNAVAIL" if lasted_ms is None else "ANSWER"
        self.clock_ms += lasted_ms or 0

    def _filled(self, text: str) -> str:
        """Variables, functions and expressions replaced, from the inside out."""
        out, at = "", 0
        while at < len(text):
            if text[at : at + 2] not in ("${", "$["):
                out += text[at]
                at += 1
                continue
            end = _closing(text, at + 1)
            inside = self._filled(text[at + 2 : end])
            out += self._value(inside) if text[at + 1] == "{" else _counted(inside)
            at = end + 1
        return out

    def _value(self, name: str) -> str:
        if "(" not in name:
            return self._variables.get(name, "")
        function, _, rest = name.partition("(")
        arguments = rest[: rest.rindex(")")]
        match function:
            case "UUID":
                return CALL
            case "CALLERID":
                return self.number
            case "CURL":
                address, _, body = arguments.partition(",")
                return self.fetch(address, body)
            case "FILTER":
                allowed, _, value = arguments.partition(",")
                return "".join(re.findall(f"[{allowed}]", value))
            case "STRFTIME":
                assert arguments == ",,%s%3q"
                return str(self.clock_ms)
            case "REGEX":
                _, pattern, value = arguments.split('"', 2)
                return str(int(re.search(pattern, value[1:]) is not None))
        raise NotImplementedError(function)


def _closing(text: str, at: int) -> int:
    """Where the bracket that opens at `at` closes; only its own kind is counted."""
    opening, closing = text[at], {"{": "}", "[": "]"}[text[at]]
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] == opening) - (text[place] == closing)
        if not depth:
            return place
    raise ValueError(f"not closed: {text[at:]}")


def _counted(expression: str) -> str:
    """`"a" != "b"`, `3 % 2 = 0`, `01500 < 1000`: what Asterisk makes of it."""
    same = re.fullmatch(r'"(.*)" (!?=) "(.*)"', expression)
    if same is not None:
        return str(int((same[1] == same[3]) is (same[2] == "=")))
    plain = re.sub(r"\b0+(?=\d)", "", expression).replace(" = ", " == ")
    assert re.fullmatch(r"[\d+\-%<>= ]+", plain), expression
    return str(int(eval(plain)))
