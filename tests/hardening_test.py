#!/usr/bin/env python3
"""What the linker and the compiler put into the tl that people install, so that a bug
in a parser ends the program and does no more: read from the binary itself."""

import re
import subprocess
import unittest

import report
import tl_command


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, tl_command.TL], check=True,
                          capture_output=True, text=True).stdout


class Hardening(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            names = readelf("--dyn-syms")
        except FileNotFoundError:
            raise unittest.SkipTest("needs readelf")
        cls.symbols = set(re.findall(r" UND (\w+)", names))
        cls.segments = readelf("--segments")
        cls.dynamic = readelf("--dynamic")

    def test_it_lies_at_another_address_each_time(self):
        self.assertRegex(readelf("--file-header"), r"Type: +DYN")
        self.assertRegex(self.dynamic, r"FLAGS_1.*\bPIE\b")
        self.assertNotIn("TEXTREL", self.dynamic)

    def test_where_calls_go_is_read_only_before_it_starts(self):
        self.assertIn("GNU_RELRO", self.segments)
        self.assertRegex(self.dynamic, r"FLAGS_1.*\bNOW\b")

    def test_nothing_is_both_written_and_run(self):
        flags = dict(re.findall(r"^ +(\w+) +0x\S+ 0x\S+ 0x\S+ 0x\S+ 0x\S+ ([RWE ]+?) +0x",
                                self.segments, re.M))
        self.assertIn("LOAD", flags)
        self.assertNotIn("E", flags["GNU_STACK"])
        for line in self.segments.splitlines():
            self.assertNotRegex(line, r"^ +LOAD .* RWE ")

    def test_the_stack_and_copies_are_watched(self):
        self.assertTrue("__stack_chk_fail" in self.symbols, "no stack protector")
        watched = {name for name in self.symbols
                   if re.fullmatch(r"__\w+_chk", name)} - {"__stack_chk_fail"}
        self.assertGreaterEqual(len(watched), 3, watched)


if __name__ == "__main__":
    report.main()
