"""The house's rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 500
MODULES = {".py", ".js"}
# Rooms named after nothing: the field has a word for everything.
NAMELESS = re.compile(r"(utils?|helpers?|managers?|misc|common|base(_.*)?)")
# Django makes these packages; there is nothing to say about them.
DJANGOS = {"management", "commands", "migrations"}
# A folder of the machine somebody worked on, not of the one that reads it.
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|Users|root|work|tmp/parley)/\w")


def tracked() -> list[Path]:
    words = ["git", "ls-files", "-z"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True)
    paths = [ROOT / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


FILES = tracked()
SOURCES = [path for path in FILES if path.suffix in MODULES]
PYTHON = [path for path in FILES if path.suffix == ".py"]


def told(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_it_looks_at_the_whole_tree() -> None:
    found = {told(path) for path in SOURCES}
    assert {"manage.py", "voiceproject/settings.py", "sessions/models.py"} <= found


def test_a_module_is_small_enough_to_hold() -> None:
    sizes = {told(p): len(p.read_text("utf-8").splitlines()) for p in SOURCES}
    assert not {path: size for path, size in sizes.items() if size > LINES_MAX}


def test_a_module_is_named_after_what_it_holds() -> None:
    parts = {part for path in SOURCES for part in Path(told(path)).parts}
    assert not [part for part in parts if NAMELESS.fullmatch(part.split(".")[0])]


def test_a_module_says_what_it_owns() -> None:
    """Tests say it in their names; Django's marker packages have nothing to say."""
    for path in PYTHON:
        is_djangos = path.name == "__init__.py" and path.parent.name in DJANGOS
        is_exempt = is_djangos or path.parent.name == "migrations"
        if not is_exempt and not path.name.startswith("test_"):
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), told(path)


def test_annotations_are_not_evaluated() -> None:
    for path in PYTHON:
        text = path.read_text("utf-8")
        if path.parent.name != "migrations" and ast.parse(text).body[1:]:
            assert "from __future__ import annotations" in text, told(path)


def test_no_file_names_a_folder_of_one_machine() -> None:
    wrong = []
    for path in FILES:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # sound, pictures, the model
        wrong += [f"{told(path)}: {m[0]}" for m in MACHINE_PATH.finditer(text)]
    assert not wrong


def test_only_the_settings_read_the_environment() -> None:
    """In the product: a start-up script and the tests' own settings may as well."""
    rooms = {"sessions", "transcripts", "bot", "voiceproject"}
    readers = ("environment", "settings", "asgi")
    allowed = {f"voiceproject/{name}.py" for name in readers}
    for path in PYTHON:
        if path.relative_to(ROOT).parts[0] not in rooms or told(path) in allowed:
            continue
        text = path.read_text("utf-8")
        assert not re.search(r"os\.(environ|getenv)", text), told(path)
