"""requirements.txt is what the lock says: same versions, same hashes, no torch.

Both files are read as they are, so that no test asks a package index.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)
HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
TEXT = (ROOT / "requirements.txt").read_text("utf-8")
OFFLINE = os.environ | {"UV_OFFLINE": "1"}
LOCK = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
PACKAGES = {package["name"]: package for package in LOCK["package"]}


def exported() -> dict[str, tuple[str, set[str]]]:
    """Version and hashes of every package requirements.txt names."""
    entries = re.split(r"\n(?=\S)", TEXT)
    found = {}
    for entry in entries:
        if pinned := PINNED.match(entry):
            version = pinned[2].rstrip("\\").strip()
            found[pinned[1]] = (version, set(HASH.findall(entry)))
    return found


def reachable() -> set[str]:
    """Every package the lock needs to run Parley, without the tools of a developer."""
    todo = [(name, frozenset[str]()) for name in ("parley",)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        package = PACKAGES[name]
        needs = list(package.get("dependencies", []))
        for extra in extras:
            needs += package.get("optional-dependencies", {}).get(extra, [])
        todo += [(n["name"], frozenset(n.get("extra", ()))) for n in needs]
    return {name for name, _ in seen} - {"parley"}


def test_it_names_exactly_what_the_lock_needs() -> None:
    assert set(exported()) == reachable()


def test_it_pins_the_versions_and_hashes_of_the_lock() -> None:
    for name, (version, hashes) in exported().items():
        package = PACKAGES[name]
        files = [
            *package.get("wheels", []),
            *([package["sdist"]] if "sdist" in package else []),
        ]
        assert version == package["version"], name
        assert hashes == {file["hash"] for file in files}, name
        assert hashes, name


def bills() -> list[str]:
    """The commands of `make sbom`."""
    recipe = (ROOT / "Makefile").read_text("utf-8").split("\nsbom:")[1].split("\n\n")[0]
    return re.findall(r"^\t@(.*)$", recipe.replace("\\\n", " "), re.MULTILINE)


def test_the_bill_of_materials_names_each_with_its_files(tmp_path: Path) -> None:
    """Without a network."""
    _, *words = bills()[0].split()
    target = tmp_path / "sbom.json"
    command = [str(ROOT / ".uv/bin/uv"), *words[:-1], str(target)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60, env=OFFLINE)
    bill = json.loads(target.read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {one["name"]: one["version"] for one in bill["components"]}
    assert named == {name: version for name, (version, _) in exported().items()}
    for one in bill["components"]:
        files = one["externalReferences"]
        assert files, one["name"]
        assert all(file["hashes"] for file in files), one["name"]


def test_another_names_what_pages_load_with_its_hashes() -> None:
    command, _, _ = bills()[1].partition(" > ")
    written = subprocess.check_output(
        command.split(), cwd=ROOT, timeout=60, env=OFFLINE
    )
    bill = json.loads(written)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {one["name"]: one["version"] for one in bill["components"]}
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))
    assert named == wanted["dependencies"]
    assert all(one["hashes"] for one in bill["components"])


def test_it_leaves_torch_out() -> None:
    assert not [
        name for name in exported() if name.startswith(("torch", "nvidia", "triton"))
    ]
    assert not [name for name in PACKAGES if name.startswith("torch")]


def test_it_names_no_index_of_one_machine() -> None:
    assert "index-url" not in TEXT
    sources = {str(package.get("source", {})) for package in PACKAGES.values()}
    assert sources <= {"{'registry': 'https://pypi.org/simple'}", "{'virtual': '.'}"}
