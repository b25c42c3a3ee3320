"""The environment's helpers: what they take, and that they refuse nonsense."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from voiceproject import environment

NAME = "PARLEY_TEST_VALUE"


def given(monkeypatch: pytest.MonkeyPatch, value: str, *, name: str = NAME) -> None:
    monkeypatch.setenv(name, value)


def test_it_uses_the_default_for_what_is_not_set() -> None:
    assert environment.envstr(NAME, "a") == "a"
    assert environment.envint(NAME, 3) == 3
    assert environment.envfloat(NAME, 0.5) == 0.5
    assert environment.envbool(NAME, default=True) is True
    assert environment.envlist(NAME, "a,b") == ["a", "b"]
    assert environment.envchoice(NAME, "a", of=("a", "b")) == "a"
    assert environment.envsecret(NAME, "s") == "s"


def test_it_uses_the_default_for_an_empty_number_or_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, "  ")
    assert environment.envint(NAME, 3) == 3
    assert environment.envfloat(NAME, 0.5) == 0.5
    assert environment.envbool(NAME, default=True) is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [("True", True), ("true", True), ("1", True), ("False", False), ("0", False)],
)
def test_it_reads_flags(
    monkeypatch: pytest.MonkeyPatch, value: str, *, expected: bool
) -> None:
    given(monkeypatch, value)
    assert environment.envbool(NAME, default=not expected) is expected


@pytest.mark.parametrize("value", ["yes", "on", "2", "Tru", "None"])
def test_it_refuses_a_flag_that_is_none(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    given(monkeypatch, value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.envbool(NAME, default=False)


@pytest.mark.parametrize("value", ["x", "1.5", "1e3", "0x10", "-1", "0"])
def test_it_refuses_a_whole_number_that_is_none_or_too_small(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    given(monkeypatch, value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.envint(NAME, 3, least=1)


@pytest.mark.parametrize("value", ["x", "1,5", "-0.1", "nan", "inf", "-inf"])
def test_it_refuses_a_number_that_is_none_or_without_end(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    given(monkeypatch, value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.envfloat(NAME, 0.5)


def test_it_refuses_a_choice_that_is_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, "c")
    with pytest.raises(ImproperlyConfigured, match="one of a, b"):
        environment.envchoice(NAME, "a", of=("a", "b"))


def test_it_splits_lists_and_leaves_out_empty_items(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, " a, ,b ,")
    assert environment.envlist(NAME, "") == ["a", "b"]


def test_it_takes_a_relative_path_from_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, "elsewhere/data")
    found = environment.envpath(NAME, Path("unused"))
    assert found == environment.BASE_DIR / "elsewhere" / "data"


def test_it_reads_a_secret_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from the file\n", encoding="utf-8")
    given(monkeypatch, "from the environment")
    given(monkeypatch, str(tmp_path / "secret"), name=f"{NAME}_FILE")
    assert environment.envsecret(NAME, "") == "from the file"


def test_it_refuses_a_secret_file_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(monkeypatch, str(tmp_path / "absent"), name=f"{NAME}_FILE")
    with pytest.raises(ImproperlyConfigured, match=f"{NAME}_FILE"):
        environment.envsecret(NAME, "default")


def test_it_makes_the_secret_key_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "made" / "secret_key"
    first = environment.kept_secret_key(path)
    assert len(first) >= 50
    assert environment.kept_secret_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_at_once_agree_on_the_secret_key(tmp_path: Path) -> None:
    """Without Django: four processes wait at a door, then make the key together."""
    path = tmp_path / "secret_key"
    program = (
        "import sys; from pathlib import Path;"
        "from voiceproject import environment as s;"
        "print('here', flush=True); sys.stdin.readline();"
        "print(s.kept_secret_key(Path(sys.argv[1])))"
    )
    env = os.environ | {"DATA_DIR": str(tmp_path / "data"), "SECRET_KEY": "given"}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            cwd=environment.BASE_DIR,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        racer.stdout.readline()
    with ThreadPoolExecutor(4) as pool:
        keys = {
            out.strip() for out, _ in pool.map(lambda r: r.communicate("\n"), racers)
        }
    assert len(keys) == 1
    assert keys == {path.read_text(encoding="ascii").strip()}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        (" Hello! ", {"*": "Hello!"}),
        ('{"en": "Hello!", " UK": "Вітаю!"}', {"en": "Hello!", "uk": "Вітаю!"}),
        ('{"*": ""}', {"*": ""}),
    ],
)
def test_it_reads_texts_by_language(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: dict[str, str]
) -> None:
    given(monkeypatch, value)
    assert environment.envtexts(NAME, "") == expected


@pytest.mark.parametrize("value", ["{", "{}}", '{"en": 1}', '{"en": null}', "{en: a}"])
def test_it_refuses_texts_that_are_none(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    given(monkeypatch, value)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        environment.envtexts(NAME, "")


def test_days_are_numbers_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    of = ("masters", "chunks")
    assert environment.envdays(NAME, "", of=of) == {}
    given(monkeypatch, "masters=30, chunks = 0")
    assert environment.envdays(NAME, "", of=of) == {"masters": 30, "chunks": 0}
    for wrong in ("masters", "masters=", "masters=-1", "planets=3", "masters=x"):
        given(monkeypatch, wrong)
        with pytest.raises(ImproperlyConfigured):
            environment.envdays(NAME, "", of=of)
