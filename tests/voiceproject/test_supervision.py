"""The Procfile and the supervisor's configuration made from it. No process starts."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest

from voiceproject.supervision import (
    DRAINED_S,
    GROUPS,
    Program,
    configuration,
    read_procfile,
)

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 10


def procfile(folder: Path, text: str) -> Path:
    path = folder / "Procfile"
    path.write_text(text, encoding="utf-8")
    return path


def configured(
    *programs: Program, root: bool = False, drain_s: float = 0.0
) -> configparser.ConfigParser:
    text = configuration(
        list(programs),
        pidfile=Path("/srv/100%/supervisord.pid"),
        pid=4711,
        root=root,
        drain_s=drain_s,
    )
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(text)
    return parsed


def test_it_reads_names_and_commands(tmp_path: Path) -> None:
    text = "# all of it\nweb: python manage.py runweb\n\n bot :  env A=b:c python x\n"
    assert read_procfile(procfile(tmp_path, text)) == [
        Program("web", "python manage.py runweb"),
        Program("bot", "env A=b:c python x"),
    ]


@pytest.mark.parametrize("line", ["web", "web:", ": python", "a b: python", "1: x"])
def test_it_refuses_a_line_that_is_no_program(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="not `name: command`"):
        read_procfile(procfile(tmp_path, f"web: python\n{line}\n"))


def test_our_procfile_has_a_place_for_every_program() -> None:
    programs = read_procfile(ROOT / "Procfile")
    parsed = configured(*programs)
    assert {p.name for p in programs} == {"web", "bot", "stt", "media"}
    assert all(parsed.has_section(f"program:{p.name}") for p in programs)


def test_it_refuses_a_program_without_a_place() -> None:
    with pytest.raises(ValueError, match="mystery"):
        configured(Program("mystery", "python x"))


def test_python_is_the_one_that_runs_us() -> None:
    parsed = configured(Program("stt", "env Q_CLUSTER_NAME=stt python manage.py x"))
    command = parsed["program:stt"]["command"]
    assert command == f"env Q_CLUSTER_NAME=stt {sys.executable} manage.py x"


def test_a_percent_sign_is_not_a_place_to_fill() -> None:
    parsed = configured(Program("web", "python 50%"))
    assert parsed["program:web"]["command"].endswith("50%%")
    assert parsed["supervisord"]["pidfile"] == "/srv/100%%/supervisord.pid"


def test_a_process_can_ask_whether_its_supervisor_lives() -> None:
    assert configured()["supervisord"]["environment"] == 'SUPERVISOR_PID="4711"'


def test_each_process_is_signalled_alone_and_killed_with_its_children() -> None:
    for program in read_procfile(ROOT / "Procfile"):
        section = configured(program)[f"program:{program.name}"]
        assert section["stopsignal"] == "TERM"
        assert section["stopasgroup"] == "false"
        assert section["killasgroup"] == "true"


def test_all_groups_together_stop_in_time() -> None:
    slack = len(GROUPS)  # supervisord looks once a second whether the time is over
    assert sum(seconds for _, _, seconds in GROUPS) + slack < STOP_S


def test_a_bot_that_lets_calls_finish_is_not_killed_meanwhile() -> None:
    programs = read_procfile(ROOT / "Procfile")
    parsed = configured(*programs, drain_s=1799.5)
    waits = {p.name: int(parsed[f"program:{p.name}"]["stopwaitsecs"]) for p in programs}
    assert waits == {"web": 3, "bot": 1800 + DRAINED_S, "stt": 3, "media": 3}


def test_nobody_waits_where_calls_get_no_time() -> None:
    parsed = configured(*read_procfile(ROOT / "Procfile"))
    assert parsed["program:bot"]["stopwaitsecs"] == "3"


def test_who_hears_stops_before_who_writes_down() -> None:
    """supervisord stops groups from the highest priority down."""
    parsed = configured(
        *read_procfile(ROOT / "Procfile"), Program("speakers", "python x")
    )
    order = sorted(
        (s for s in parsed.sections() if s.startswith("group:")),
        key=lambda s: -int(parsed[s]["priority"]),
    )
    members = [set(parsed[group]["programs"].split(",")) for group in order]
    assert members == [{"speakers", "bot", "web"}, {"stt", "media"}]


def test_what_runs_once_is_not_started_again() -> None:
    parsed = configured(Program("announce", "python x"), Program("web", "python y"))
    assert parsed["program:announce"]["autorestart"] == "false"
    assert parsed["program:web"]["autorestart"] == "true"


def test_root_stays_root_and_others_do_not_become_it() -> None:
    assert configured(root=True)["supervisord"]["user"] == "root"
    assert "user" not in configured()["supervisord"]
