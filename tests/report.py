"""How a test script reports: it names each failure as it happens and closes with
one line, `N passed, N failed, N skipped`, which tests/run.py adds up."""

import re
import sys
import threading
import unittest

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


class Report:
    """Counts results; safe to use from several threads."""

    def __init__(self):
        self.counts = [0, 0, 0]
        self._lock = threading.Lock()

    def passed(self, count=1):
        with self._lock:
            self.counts[0] += count

    def failed(self, name, why):
        with self._lock:
            self.counts[1] += 1
            print(f"FAILED {name}\n  " + str(why).rstrip().replace("\n", "\n  "),
                  flush=True)

    def skipped(self, name, why):
        with self._lock:
            self.counts[2] += 1
            print(f"skipped {name}: {why}", flush=True)

    def finish(self):
        """Prints the closing line; the exit status is for sys.exit."""
        print("{} passed, {} failed, {} skipped".format(*self.counts), flush=True)
        return 1 if self.counts[1] else 0


class _Result(unittest.TestResult):
    def __init__(self, report):
        super().__init__()
        self.report = report
        self._divided = set()

    def addSuccess(self, test):
        # A test made of subtests is counted by them.
        if test.id() not in self._divided:
            self.report.passed()

    def addFailure(self, test, err):
        self.report.failed(test.id(), self._exc_info_to_string(err, test))

    addError = addFailure

    def addSkip(self, test, reason):
        self.report.skipped(test.id(), reason)

    def addSubTest(self, test, subtest, err):
        self._divided.add(test.id())
        if err is None:
            self.report.passed()
        else:
            self.report.failed(subtest.id(), self._exc_info_to_string(err, test))


def main():
    """Runs the calling script's unittest cases, or those named as arguments."""
    loader = unittest.TestLoader()
    module = sys.modules["__main__"]
    names = sys.argv[1:]
    suite = (loader.loadTestsFromNames(names, module) if names
             else loader.loadTestsFromModule(module))
    report = Report()
    suite.run(_Result(report))
    if not any(report.counts):
        report.failed(sys.argv[0], "it has no tests")
    sys.exit(report.finish())
