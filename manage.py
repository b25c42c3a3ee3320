#!/usr/bin/env python
"""Django's command line."""

from __future__ import annotations

import os
import signal
import sys


def end_with_supervisor() -> None:
    """Have the kernel send SIGTERM when the supervisor dies, however it does (Linux).

    Without it a killed supervisor leaves processes behind that hold the port.
    """
    if "SUPERVISOR_ENABLED" in os.environ and sys.platform == "linux":
        import ctypes

        PR_SET_PDEATHSIG = 1  # noqa: N806 (the kernel's name)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def main() -> None:
    end_with_supervisor()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
