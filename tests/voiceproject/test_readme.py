"""The documents tell the truth: settings, defaults, commands and links."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
SETTINGS = ast.parse((ROOT / "voiceproject" / "settings.py").read_text("utf-8"))
ROW = re.compile(
    r"^\| `([A-Z0-9_]+)`( †)? \| (?:`(.*?)`)? ?\| (\S.*) \|$", re.MULTILINE
)
EXAMPLE = re.compile(r'^#([A-Z0-9_]+)="?(.*?)"?$', re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\(([^)#:]*)#([^)]+)\)")


def default_text(node: ast.expr | None) -> str:
    """A default as the table shows it: a path from the project's folder on."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name):
            return "" if name == "BASE_DIR" else name
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"{default_text(left)}/{default_text(right)}".removeprefix("/")
        case ast.JoinedStr(values=parts):
            return "".join(default_text(part) for part in parts)
        case ast.FormattedValue(value=value):
            return default_text(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return f"-{default_text(operand)}"
    raise AssertionError(f"a default of a new kind: {ast.dump(node) if node else None}")


def calls() -> list[ast.Call]:
    """Every call of an `env…` helper in the settings."""
    return [
        node
        for node in ast.walk(SETTINGS)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.startswith("env")
        and isinstance(node.args[0], ast.Constant)
    ]


def settings() -> dict[str, str]:
    """Every setting with its default."""
    found = {}
    for call in calls():
        name = call.args[0]
        assert isinstance(name, ast.Constant)
        named = next((k.value for k in call.keywords if k.arg == "default"), None)
        default = named or call.args[1]
        found[str(name.value)] = default_text(default)
    return found


def secrets() -> set[str]:
    """The settings that may come from a file."""
    return {
        str(call.args[0].value)
        for call in calls()
        if isinstance(call.func, ast.Name)
        and call.func.id == "envsecret"
        and isinstance(call.args[0], ast.Constant)
    }


def test_the_table_has_every_setting_with_its_default() -> None:
    told = {name: default for name, _, default, _ in ROW.findall(README)}
    assert told == settings()


def test_the_table_marks_what_may_come_from_a_file() -> None:
    assert {name for name, mark, _, _ in ROW.findall(README) if mark} == secrets()


def test_the_example_has_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    assert dict(EXAMPLE.findall(text)) == settings()


def test_the_processes_are_the_procfiles() -> None:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    for line in lines:
        name, _, command = line.partition(": ")
        words = command.removeprefix("env ").replace("python ", "")
        assert f"| {name} | `{words}` |" in README


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_links_only_to_files_that_are_there(path: Path) -> None:
    links = [path.parent / link for link in LINK.findall(path.read_text("utf-8"))]
    assert not [str(link) for link in links if not link.exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_links_only_to_headings_that_are_there(path: Path) -> None:
    for link, anchor in ANCHOR.findall(path.read_text("utf-8")):
        target = path.parent / link if link else path
        titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
        assert anchor in slugs, link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_only_commands_that_are_there(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([a-z]+)", path.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for command in re.findall(r"manage\.py ([a-z]+)", path.read_text("utf-8")):
        ours = list(ROOT.glob(f"*/management/commands/{command}.py"))
        theirs = ("qcluster", "changepassword", "createsuperuser", "migrate", "check")
        assert ours or command in theirs, command
