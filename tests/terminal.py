"""A program at a terminal of its own, as a person would use it."""

import os
import pty
import re
import select
import signal
import termios
import threading
import time

import tl_command

# What moves the cursor or colours the text.
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """Runs tl; `seen` is all that it showed so far."""

    def __init__(self, *arguments, env=None, folder=None):
        self.seen = ""
        self.at = 0  # how much of it was waited for
        # Ctrl-C may come at once. A child that it ended as it ends Python would first
        # clean up what is its parent's.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            self.become_tl(mask, arguments, env or {}, folder)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @staticmethod
    def become_tl(mask, arguments, env, folder):
        try:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)  # ./test may run under nohup
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if folder:
                os.chdir(folder)
            os.environ.update({"TERM": "xterm", "NO_COLOR": "1", **env})
            os.execv(tl_command.TL, [tl_command.TL, *map(str, arguments)])
        finally:
            os._exit(127)

    def type(self, text):
        os.write(self.screen, text.encode())

    def wait_for(self, text):
        """Reads until `text` is shown, after what was waited for before; gives what
        stood between."""
        end = time.monotonic() + tl_command.TIME_LIMIT
        while text not in self.seen[self.at:]:
            if not self.read_for(end - time.monotonic()):
                raise AssertionError(f"no {text!r} in {self.seen[self.at:]!r}")
        begin, found = self.at, self.seen.index(text, self.at)
        self.at = found + len(text)
        return self.seen[begin:found]

    def read_for(self, seconds):
        """Reads what comes next; false where nothing comes in time, or ever."""
        if seconds <= 0 or not select.select([self.screen], [], [], seconds)[0]:
            return False
        try:
            more = os.read(self.screen, 65536)
        except OSError:  # the other end is closed
            return False
        self.seen = ESCAPE.sub("", self.seen + more.decode(errors="replace"))
        return bool(more)

    def forget(self):
        """What was waited for, so that a long session does not fill memory."""
        self.seen, self.at = self.seen[self.at:], 0

    def modes(self):
        """Echo, lines and all else that a program may change about its terminal."""
        return termios.tcgetattr(self.screen)

    def end(self):
        """Reads to the end; the exit status and what was used. What does not end is
        killed."""
        while self.read_for(tl_command.TIME_LIMIT):
            pass
        limit = threading.Timer(tl_command.TIME_LIMIT, os.kill, (self.pid, signal.SIGKILL))
        limit.start()
        _, status, usage = os.wait4(self.pid, 0)
        limit.cancel()
        return os.waitstatus_to_exitcode(status), usage

    def close(self):
        """Reads to the end; the exit status."""
        status, _ = self.end()
        os.close(self.screen)
        return status
