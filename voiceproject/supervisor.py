"""The supervisor process: supervisord, with three habits of its own.

A hang-up (the terminal was closed) stops it: supervisord would start everything anew,
for nobody. Whoever stops it twice is in a hurry, as with a bot that runs alone. And it
can write to a socket, which is what systemd gives as output.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from types import FrameType

from supervisor.medusa import asyncore_25 as loop
from supervisor.options import ServerOptions
from supervisor.states import ProcessStates
from supervisor.supervisord import Supervisor

from voiceproject.supervision import BOT

STDOUT = 1
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Options(ServerOptions):
    """supervisord's options, whose SIGHUP is a SIGTERM."""

    stops = 0
    """How often it was told to stop."""

    def get_signal(self) -> int | None:
        number: int | None = super().get_signal()
        self.stops += number in STOPS
        return number

    def setsignals(self) -> None:
        super().setsignals()
        signal.signal(signal.SIGHUP, self._hang_up)

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        self.signal_receiver.receive(signal.SIGTERM, frame)


class HurriedSupervisor(Supervisor):
    """supervisord, which passes on that it is told to stop once more."""

    def handle_signal(self) -> None:
        before = self.options.stops
        super().handle_signal()
        if self.options.stops > before > 0:
            for group in self.process_groups.values():
                bot = group.processes.get(BOT)
                if bot is not None and bot.get_state() == ProcessStates.STOPPING:
                    bot.signal(signal.SIGTERM)


def make_output_openable() -> None:
    """Put a pipe between us and a socket: /dev/fd/1 cannot be opened if it is one."""
    if not stat.S_ISSOCK(os.fstat(STDOUT).st_mode):
        return
    read, write = os.pipe()
    # It ends with the last writer: later than we do, whatever signal ends us.
    subprocess.Popen(["cat"], stdin=read, start_new_session=True)
    os.close(read)
    os.dup2(write, STDOUT)
    os.close(write)


def main(arguments: list[str]) -> None:
    """Run supervisord until it is told to stop."""
    make_output_openable()
    options = Options()
    options.realize(arguments, doc=__doc__)
    options.first = True
    options.test = False
    try:
        HurriedSupervisor(options).main()
    except loop.ExitNow:
        pass  # its way to leave the loop
    finally:
        options.close_logger()


if __name__ == "__main__":
    main(sys.argv[1:])
