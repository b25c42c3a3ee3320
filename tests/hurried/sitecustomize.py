"""Constants of a real process as a test wants them, where life waits too long.

Python imports it at start when this folder is on PYTHONPATH. HURRIED names them, as
JSON: {"voiceproject.downlinks.STALLED_S": 1.0}.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WANTED: dict[str, dict[str, float]] = {}
for _path, _value in json.loads(os.environ.get("HURRIED", "{}")).items():
    _module, _, _name = _path.rpartition(".")
    WANTED.setdefault(_module, {})[_name] = _value


class Hurry(MetaPathFinder):
    """Sets them as soon as their module is there."""

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname in WANTED else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_set(module: ModuleType) -> None:
            execute(module)
            assert WANTED[fullname].keys() <= vars(module).keys(), fullname
            vars(module).update(WANTED[fullname])

        spec.loader.exec_module = execute_and_set  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Hurry())
