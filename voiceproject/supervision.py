"""The supervisor's configuration, made from the Procfile.

supervisord starts, restarts with back-off and stops the processes. Each is signalled
alone: django-q2's parent deadlocks when its whole process group is.
"""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

HEAD = """\
; Made from the Procfile at every start: changes here are lost.
[supervisord]
nodaemon=true
silent=true
loglevel=warn
logfile=/dev/fd/1
logfile_maxbytes=0
pidfile={pidfile}
environment=SUPERVISOR_PID="{pid}"
{user}
"""

PROGRAM = """\
[program:{name}]
command={command}
autorestart={restart}
startsecs={settled_s}
startretries=1000000
stopsignal=TERM
stopwaitsecs={stop_s}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0

"""

# Stopped in this order, each with its seconds before SIGKILL: first whoever hears, so
# that the workers are still there for what was heard last. supervisord may take more
# than a second longer for each group: with all processes hung, 8.5 s in all. With
# DRAIN_S the bot has its time besides; the workers stay for what is said meanwhile.
GROUPS = (
    ("ears", ("speakers", "members", "announce", "bot", "web"), 3),
    ("workers", ("stt", "media"), 3),
)
BOT = "bot"
DRAINED_S = 60
"""To end in order what still runs when DRAIN_S is over: Discord has its limits."""
ONCE = frozenset({"announce"})


@dataclass(frozen=True, slots=True)
class Program:
    """One line of a Procfile."""

    name: str
    command: str


def read_procfile(path: Path) -> list[Program]:
    """The programs of a Procfile. Raises ValueError for a line that is none."""
    programs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, command = line.partition(":")
        if not (colon and name.strip().isidentifier() and command.strip()):
            raise ValueError(f"{path.name}: not `name: command`: {line!r}")
        programs.append(Program(name.strip(), command.strip()))
    return programs


def configuration(
    programs: list[Program], *, pidfile: Path, pid: int, root: bool, drain_s: float
) -> str:
    """supervisord's configuration file; `pid` will be its own, `root`: we are root.
    `drain_s`: how long a bot lets calls finish before it ends.

    Raises ValueError for a program that no group names.
    """
    user = "user=root" if root else ""  # else it warns that nobody chose root
    parts = [HEAD.format(pidfile=_quoted(str(pidfile)), pid=pid, user=user)]
    by_name = {program.name: program for program in programs}
    for priority, (group, names, stop_s) in enumerate(reversed(GROUPS), start=1):
        present = [by_name.pop(name) for name in names if name in by_name]
        for program in present:
            drains = drain_s and program.name == BOT
            own_s = math.ceil(drain_s) + DRAINED_S if drains else stop_s
            parts.append(_program(program, stop_s=own_s))
        if present:
            members = ",".join(program.name for program in present)
            parts.append(
                f"[group:{group}]\nprograms={members}\npriority={priority}\n\n"
            )
    if by_name:
        raise ValueError(f"programs without a place: {', '.join(by_name)}")
    return "".join(parts)


def _program(program: Program, *, stop_s: int) -> str:
    once = program.name in ONCE
    words = shlex.split(program.command)
    words = [sys.executable if word == "python" else word for word in words]
    return PROGRAM.format(
        name=program.name,
        command=_quoted(shlex.join(words)),
        restart="false" if once else "true",
        settled_s=0 if once else 2,
        stop_s=stop_s,
    )


def _quoted(value: str) -> str:
    """supervisord reads `%` as a place to put something in."""
    return value.replace("%", "%%")
