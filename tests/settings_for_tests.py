"""The product's settings in an environment of the tests' own.

A run has a fresh data folder, ignores whatever the shell sets, and never asks a hub.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_SETTINGS = Path(__file__).resolve().parent.parent / "voiceproject" / "settings.py"

for _name in list(os.environ):
    if f'("{_name}"' in _SETTINGS.read_text(encoding="utf-8"):
        del os.environ[_name]
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="parley-test-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["STT_DOWNLOAD"] = "False"
# Tests ask faster than people do, and nearly all as the first account there is.
os.environ["API_CHANGES_PER_MINUTE"] = "0"
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)

from voiceproject.settings import *  # noqa: E402, F403

# A password's hash is slow on purpose; tests ask for hundreds of them.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
