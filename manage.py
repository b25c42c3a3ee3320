#!/usr/bin/env python
"""Django's command line."""

from __future__ import annotations

import gc
import os
import signal
import sys


def end_with_supervisor() -> None:
    """Have the kernel send SIGTERM when the supervisor dies, however it does (Linux).

    Without it a killed supervisor leaves processes behind that hold the port.
    """
    supervisor = int(os.environ.get("SUPERVISOR_PID", "0"))
    if supervisor and sys.platform == "linux":
        import ctypes

        PR_SET_PDEATHSIG = 1  # noqa: N806 (the kernel's name)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:
            sys.exit("The supervisor has died.")  # before the kernel was asked


def main() -> None:
    end_with_supervisor()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell says of Ctrl-C
    finally:
        # Python looks through all that is left before it ends: seconds, on a busy
        # machine, in which a supervisor loses its patience.
        gc.freeze()


if __name__ == "__main__":
    main()
