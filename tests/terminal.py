"""A program at a terminal of its own, as a person would use it."""

import os
import pty
import re
import select
import time

import tl_command

# What moves the cursor or colours the text.
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """Runs tl; `seen` is all that it showed so far."""

    def __init__(self, *arguments, env=None):
        self.seen = ""
        self.at = 0  # how much of it was waited for
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm", "NO_COLOR": "1", **(env or {})})
            os.execv(tl_command.TL, [tl_command.TL, *map(str, arguments)])

    def type(self, text):
        os.write(self.screen, text.encode())

    def wait_for(self, text):
        """Reads until `text` is shown, after what was waited for before; gives what
        stood between."""
        end = time.monotonic() + tl_command.TIME_LIMIT
        while text not in self.seen[self.at:]:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {text!r} in {self.seen[self.at:]!r}")
        begin, found = self.at, self.seen.index(text, self.at)
        self.at = found + len(text)
        return self.seen[begin:found]

    def _read(self, seconds):
        if seconds <= 0 or not select.select([self.screen], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.screen, 65536)
        except OSError:  # the other end is closed
            return False
        self.seen = ESCAPE.sub("", self.seen + more.decode(errors="replace"))
        return bool(more)

    def close(self):
        """Reads to the end; the exit status."""
        while self._read(tl_command.TIME_LIMIT):
            pass
        os.close(self.screen)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
