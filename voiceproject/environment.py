"""The environment, read by type: what each helper takes, and the nonsense it refuses.

For `settings`, which says what there is to be set. `X_FILE` is a path whose content is
the value of `X`, where the helper is `envsecret`.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def envstr(name: str, default: str) -> str:
    return os.environ.get(name, default).strip()


def envint(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    value = int(_at_least(name, _number(name, str(default), int), least))
    if most is not None and value > most:
        raise ImproperlyConfigured(f"{name} must be at most {most}, not {value}")
    return value


def envnumbers(name: str, default: str) -> list[int]:
    """Whole numbers, by commas."""
    found = envlist(name, default)
    if bad := [one for one in found if not one.isdecimal()]:
        raise ImproperlyConfigured(f"{name}: {bad[0]!r} is not a whole number.")
    return [int(one) for one in found]


def envdays(name: str, default: str, *, of: tuple[str, ...]) -> dict[str, int]:
    """Days by name: `masters=30,chunks=1`. A name that is not there has none."""
    found: dict[str, int] = {}
    for part in envlist(name, default):
        kind, _, days = part.partition("=")
        if kind.strip() not in of or not days.strip().isdecimal():
            known = ", ".join(of)
            raise ImproperlyConfigured(
                f"{name}: {part!r} is not a number of days, as in masters=30, of one "
                f"of {known}."
            )
        found[kind.strip()] = int(days)
    return found


def envfloat(name: str, default: float, *, least: float = 0.0) -> float:
    value = _number(name, str(default), float)
    return _at_least(name, value, least)


def envbool(name: str, *, default: bool) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False, "": default}
    value = os.environ.get(name, "").strip().lower()
    if value not in words:
        raise ImproperlyConfigured(f"{name} must be True or False, not {value!r}")
    return words[value]


def envlist(name: str, default: str) -> list[str]:
    return [item.strip() for item in envstr(name, default).split(",") if item.strip()]


def envchoice(name: str, default: str, *, of: tuple[str, ...]) -> str:
    value = envstr(name, default)
    if value not in of:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(of)}: {value!r}")
    return value


def envpath(name: str, default: Path) -> Path:
    """A path; a relative one is meant from the project's folder."""
    return (BASE_DIR / envstr(name, str(default))).resolve()


def envsecret(name: str, default: str) -> str:
    """`X`, or the content of the file named by `X_FILE`."""
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return envstr(name, default)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as e:
        raise ImproperlyConfigured(f"{name}_FILE cannot be read: {path}") from e


def envtexts(name: str, default: str) -> dict[str, str]:
    """Texts by language, from JSON; `*` is any other language, as is a plain text."""
    value = envstr(name, default)
    if not value.startswith("{"):
        return {"*": value} if value else {}
    try:
        texts = json.loads(value)
    except ValueError as e:
        raise ImproperlyConfigured(f"{name} is not JSON: {e}") from e
    if not all(isinstance(text, str) for text in texts.values()):
        raise ImproperlyConfigured(f"{name} must name one text for each language")
    return {language.strip().lower(): text for language, text in texts.items()}


def _number(name: str, default: str, kind: type[int] | type[float]) -> float:
    value = os.environ.get(name, "").strip() or default
    try:
        return kind(value)
    except ValueError as e:
        message = f"{name} must be a number ({kind.__name__}), not {value!r}"
        raise ImproperlyConfigured(message) from e


def _at_least(name: str, value: float, least: float) -> float:
    if not value >= least or value == float("inf"):
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {value}")
    return value


def kept_secret_key(path: Path) -> str:
    """The key of an embedded installation: made once, readable by its owner only."""
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(50))
    try:
        os.link(draft, path)  # the first process to come here wins, whole
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
