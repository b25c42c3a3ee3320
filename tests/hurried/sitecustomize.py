"""Constants of a real process as a test wants them, where life waits too long.

Python imports it at start when this folder is on PYTHONPATH. HURRIED names them, as
JSON: {"voiceproject.downlinks.STALLED_S": 1.0}.
"""

from __future__ import annotations

import importlib
import json
import os

for _path, _value in json.loads(os.environ.get("HURRIED", "{}")).items():
    _module, _, _name = _path.rpartition(".")
    _found = importlib.import_module(_module)
    assert hasattr(_found, _name), _path
    setattr(_found, _name, _value)
