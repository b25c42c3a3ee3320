"""The docs are true where a program can tell: close codes, files, settings."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from sessions.wire import Close
from voiceproject import settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("*.md")]
PATH = re.compile(r"(?<![\w./*{-])[\w.-]+/[\w./{},-]+\.(?:py|js|md|sh|png)\b")
BRACES = re.compile(r"\{([^}]*)\}")
SETTING = re.compile(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`")
# Of others: uv's, Django's, django-q's, the browser's.
FOREIGN = {"INSTALLED_APPS", "Q_CLUSTER_NAME"}


def named(text: str) -> set[str]:
    """Every file a text names; `a/{b,c}.py` are two."""
    found = set()
    for path in PATH.findall(text):
        choices = [part.split(",") for part in BRACES.findall(path)]
        form = BRACES.sub("{}", path)
        found |= {form.format(*chosen) for chosen in product(*choices)}
    return found


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_file_a_page_names_is_there(page: Path) -> None:
    missing = [
        path
        for path in named(page.read_text("utf-8"))
        if not (ROOT / path).exists() and not (page.parent / path).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_setting_a_page_names_is_one(page: Path) -> None:
    source = Path(settings.__file__).read_text("utf-8")
    for name in set(SETTING.findall(page.read_text("utf-8"))) - FOREIGN:
        known = f'"{name.removesuffix("_FILE")}"' in source or hasattr(settings, name)
        assert known, name


def test_the_close_codes_are_those_of_the_protocol() -> None:
    text = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    told = {int(code) for code in re.findall(r"^\| (\d{4}) \|", text, re.MULTILINE)}
    assert told == {code.value for code in Close}
