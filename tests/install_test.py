#!/usr/bin/env python3
"""`cmake --install` and the Debian package bring a tl that works where it lands.
BUILD in the environment names the build folder; without it, build/."""

import os
import pathlib
import subprocess
import tempfile
import unittest

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD") or ROOT / "build")


def output_of(*command, cwd=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Installed(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def assert_works(self, prefix):
        tl = prefix / "bin" / "tl"
        self.assertEqual(output_of(tl, "-e", "print(1 + 1)", cwd=self.folder), "2\n")
        self.assertEqual(output_of(tl, "examples/digits.tl", cwd=ROOT),
                         output_of(BUILD / "tl", "examples/digits.tl", cwd=ROOT))
        share = prefix / "share"
        modules = sorted((share / "tensorlogic" / "std").rglob("*.tl"))
        self.assertIn(share / "tensorlogic" / "std" / "commands" / "bench.tl", modules)
        output_of(tl, "test", *modules)
        # Those in commands/ are programs, too: tl runs them.
        self.assertTrue(output_of(
            tl, "generate", ROOT / "models" / "verses", "-p", "And God said", "-n", 3,
            cwd=self.folder).startswith("And God said"))
        self.assertIn("4 new tokens", output_of(
            tl, "bench", ROOT / "models" / "verses", "-p", 8, "-n", 4, "-r", 1,
            cwd=self.folder))
        output_of(tl, "-e", "import std.transformer\nprint(encoder_layer)",
                  cwd=self.folder)
        for file in ("man/man1/tl.1", "bash-completion/completions/tl",
                     "zsh/site-functions/_tl", "fish/vendor_completions.d/tl.fish",
                     "doc/tensorlogic/copyright"):
            self.assertTrue((share / file).is_file(), file)

    def test_cmake_install(self):
        output_of("cmake", "--install", BUILD, "--prefix", self.folder / "usr")
        self.assert_works(self.folder / "usr")

    def test_debian_package(self):
        output_of("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake",
                  "-B", self.folder / "made")
        packages = list((self.folder / "made").glob("*.deb"))
        self.assertEqual(len(packages), 1)
        fields = output_of("dpkg-deb", "--field", packages[0])
        self.assertIn("Package: tensorlogic\n", fields)
        self.assertIn("libc6", fields)
        output_of("dpkg-deb", "--extract", packages[0], self.folder / "root")
        self.assert_works(self.folder / "root" / "usr")


if __name__ == "__main__":
    report.main()
