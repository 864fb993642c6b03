"""Installs the library into a prefix of its own, builds a program against it outside of the tree, with CMake
and with pkg-config, and runs it against npm's ws. And compiles each public header by itself."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "test", "integration"))

from peer import EchoServer  # noqa: E402  (the path has to come first)

BUILD = os.environ["WSPOOL_BUILD"]
COMPILER = os.environ.get("WSPOOL_CXX", "c++")
# What the library was instrumented with, its users have to be as well.
SANITIZE = os.environ.get("WSPOOL_SANITIZE", "")
FLAGS = [f"-fsanitize={SANITIZE}"] if SANITIZE else []


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, **options)
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="wspool-install-")
        cls.addClassCleanup(directory.cleanup)
        cls.prefix = os.path.join(directory.name, "prefix")
        cls.work = os.path.join(directory.name, "work")
        # Outside of the tree, so that nothing of it is found by chance.
        shutil.copytree(os.path.join(HERE, "program"), cls.work)
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "library")
        cls.server = EchoServer("ws_server.mjs")
        cls.addClassCleanup(cls.server.stop)

    def check(self, program):
        self.assertEqual(run(program, self.server.url), '{"type":"ping"}\n')

    def test_find_package(self):
        build = os.path.join(self.work, "build")
        run("cmake", "-S", self.work, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={COMPILER}", f"-DCMAKE_CXX_FLAGS={' '.join(FLAGS)}")
        run("cmake", "--build", build)
        self.check(os.path.join(build, "program"))

    def test_pkg_config(self):
        found = next(folder for folder, _, files in os.walk(self.prefix) if "wspool.pc" in files)
        flags = run("pkg-config", "--cflags", "--libs", "wspool",
                    env={**os.environ, "PKG_CONFIG_PATH": found}).split()
        program = os.path.join(self.work, "with_pkg_config")
        run(COMPILER, "-std=c++20", *FLAGS, os.path.join(self.work, "main.cpp"), *flags, "-o", program)
        libraries = os.path.dirname(found)
        os.environ["LD_LIBRARY_PATH"] = libraries
        self.addCleanup(os.environ.pop, "LD_LIBRARY_PATH")
        self.check(program)

    def test_each_header_stands_alone(self):
        headers = sorted(os.listdir(os.path.join(self.prefix, "include", "wspool")))
        self.assertIn("client_pool.h", headers)
        self.assertEqual(headers, sorted(os.listdir(os.path.join(ROOT, "include", "wspool"))))
        for header in headers:
            with self.subTest(header):
                # Nothing but the standard library is there to be included.
                run(COMPILER, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c++", "-I",
                    os.path.join(self.prefix, "include"), "-include", f"wspool/{header}", os.devnull)
                with open(os.path.join(ROOT, "include", "wspool", header), encoding="utf-8") as file:
                    included = [line.split()[1] for line in file if line.startswith("#include")]
                for name in included:
                    self.assertTrue(name.startswith('"wspool/') or ("." not in name and "/" not in name), name)


if __name__ == "__main__":
    unittest.main()
