# SPDX-License-Identifier: BSD-2-Clause
"""bench.py - a copy of the tree in which one mutant at a time is built and tested

A changed source costs one compilation, and one link for each program that is run on
it: the first that fails is the last. A changed header costs the compilation of all
that include it, test programs too, so that both sides see the same struct.

What to build, from what and how, is asked of the configured build folder's make.
"""
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

NOT_FAST = re.compile(r"tests/real/|nvmet/")
SLOWEST_SECONDS = 30
MEMORY_BYTES = 4 << 30


def canonical(name):
    return re.sub(r"\W", "_", name)


class Makefile:
    """The variables of a configured build folder."""

    def __init__(self, build):
        wanted = "%_SOURCES %_LDADD %_LIBADD %_LDFLAGS %_CPPFLAGS %_CFLAGS %_PROGRAMS " \
                 "CC DEFS DEFAULT_INCLUDES INCLUDES"
        rule = f"print-all: ; $(foreach v,$(filter {wanted},$(.VARIABLES)),$(info $(v)=$($(v))))@:"
        out = subprocess.run(["make", "-s", f"--eval={rule}", "print-all"], cwd=build, check=True,
                             capture_output=True, text=True).stdout
        self.values = dict(line.split("=", 1) for line in out.split("\n") if "=" in line)

    def words(self, name, otherwise=None):
        value = self.values.get(name)
        if value is None:
            return self.words(otherwise) if otherwise else []
        return shlex.split(value)

    def flags(self, target):
        base = self.words("DEFS") + self.words("DEFAULT_INCLUDES") + self.words("INCLUDES")
        return base + self.words(f"{target}_CPPFLAGS", "AM_CPPFLAGS") + \
            self.words(f"{target}_CFLAGS", "AM_CFLAGS")

    def sources(self, target):
        return [s for s in self.words(f"{target}_SOURCES") if s.endswith(".c")]


class Object:
    """One compilation: its command, what it read, what came out."""

    def __init__(self, command, path):
        self.command, self.path = command, path
        self.reads = set()

    def make(self, cwd, silent=False):
        err = subprocess.DEVNULL if silent else None
        done = subprocess.run(self.command + ["-MMD", "-o", self.path], cwd=cwd, stderr=err)
        if done.returncode:
            return False
        rule = self.path.with_suffix(".d").read_text().replace("\\\n", " ")
        self.reads = {os.path.normpath(os.path.join(cwd, f)) for f in rule.split(":", 1)[1].split()}
        return True


class Program:
    def __init__(self, name, objects, flags):
        self.name, self.objects, self.flags = name, objects, flags
        self.fork, self.seconds, self.cpu = "no", 0.0, 0.0


class Bench:
    def __init__(self, top, build, number):
        self.home = build / f"bench{number}"
        self.tree = self.home / "tree"
        self.build = self.tree / build.name
        self.objects = self.home / "objects"
        self.programs_dir = self.home / "programs"
        self.top = top
        self.makefile = Makefile(build)
        self.copy(build)
        self.made = {}
        self.programs = []

    def copy(self, build):
        shutil.rmtree(self.home, ignore_errors=True)
        for part in "lib", "include", "tests", "tools":
            shutil.copytree(self.top / part, self.tree / part)
        shutil.copytree(build / "include", self.build / "include")
        for path in self.objects, self.programs_dir:
            path.mkdir(parents=True)

    def compiler(self, target, source):
        here = [word.replace(str(self.top), str(self.tree)) for word in self.makefile.flags(target)]
        command = [word for word in self.makefile.words("CC") + here if not word.startswith("-W")]
        # a mutant may leave a variable unused, but not mistake a pointer for a number;
        # the library as it is shipped, so that what makes no difference there makes none
        return command + ["-Werror=incompatible-pointer-types", "-Werror=int-conversion",
                          "-Werror=implicit-function-declaration",
                          "-O2" if source.startswith("lib/") else "-O1", "-pthread",
                          "-c", str(self.tree / source)]

    def object(self, target, source):
        path = self.objects / f"{canonical(target)}-{canonical(source)}.o"
        if path not in self.made:
            self.made[path] = Object(self.compiler(target, source), path)
        return self.made[path]

    def parts(self, target, words):
        """The (target, source) pairs and flags of a program, its libraries' with it."""
        sources, flags = [(target, s) for s in self.makefile.sources(target)], []
        for word in words:
            if word.endswith(".la"):
                part = canonical(word)
                more_sources, more_flags = self.parts(part, self.makefile.words(f"{part}_LIBADD"))
                sources, flags = sources + more_sources, flags + more_flags
            else:
                flags.append(word)
        return list(dict.fromkeys(sources)), flags

    def program(self, name):
        """A program that is made of the library, or None."""
        target = canonical(name)
        sources, flags = self.parts(target, self.makefile.words(f"{target}_LDADD"))
        if NOT_FAST.match(name) or not any(s.startswith("lib/") for _, s in sources):
            return None
        objects = [self.object(*source) for source in sources]
        return Program(name, objects, self.makefile.words(f"{target}_LDFLAGS", "AM_LDFLAGS") + flags)

    def link(self, program):
        # all objects of a library come in, unlike from its archive: of two scenes that define
        # the same name the program's own is the first
        command = self.makefile.words("CC") + ["-pthread", "-Wl,--wrap=_ck_assert_failed",
                                               "-Wl,--allow-multiple-definition"] + \
            [o.path for o in program.objects + [self.fail_fast]] + program.flags + \
            ["-o", self.programs_dir / canonical(program.name)]
        return subprocess.run(command, cwd=self.build, stderr=subprocess.DEVNULL).returncode == 0

    def set_up(self, say):
        """Builds everything unchanged and runs every test once, to know how long it takes."""
        self.fail_fast = self.object("", "tests/mutation/fail_fast.c")
        programs = [self.program(name) for name in self.makefile.words("check_PROGRAMS")]
        for object_ in self.made.values():
            if not object_.make(self.build):
                raise SystemExit(f"{object_.path.name} does not compile")
            shutil.copy2(object_.path, object_.path.with_suffix(".kept"))
        self.programs = [p for p in programs if p and self.set_up_program(p, say)]
        if not self.programs:
            raise SystemExit("no test program is fit for this")

    def set_up_program(self, program, say):
        if not self.link(program):
            say(f"{program.name}: does not link here, left out")
            return False
        for program.fork in "no", "yes":
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            status, program.seconds = self.run(program, SLOWEST_SECONDS, SLOWEST_SECONDS)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            program.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if status == 0:
                return True
        say(f"{program.name}: left out, its status without a mutant is {status}")
        return False

    def run(self, program, wall_seconds, cpu_seconds):
        """Exit status (None: it took too long) and seconds."""
        def limits():
            resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_seconds), int(cpu_seconds) + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        environment = dict(os.environ, CK_FORK=program.fork, CK_VERBOSITY="silent",
                           srcdir=str(self.tree))
        begin = time.monotonic()
        child = subprocess.Popen([self.programs_dir / canonical(program.name)], cwd=self.build,
                                 env=environment, preexec_fn=limits, start_new_session=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            status = child.wait(wall_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            status = None
        return status, time.monotonic() - begin

    def try_out(self, touched, order):
        """Builds what a change has touched, and runs the tests on it until one fails."""
        if not touched:
            return "survived", ""  # no fast test has it at all
        if not all(o.make(self.build, silent=True) for o in touched):
            return "no C", ""
        if all(o.path.read_bytes() == o.path.with_suffix(".kept").read_bytes() for o in touched):
            return "same code", ""
        for program in order([p for p in self.programs if set(p.objects) & set(touched)]):
            if not self.link(program):
                return "no C", ""
            status, _ = self.run(program, 10 * program.seconds + 20, 4 * program.cpu + 2)
            if status is None or status == -signal.SIGXCPU:
                return "timeout", program.name
            if status:
                return "killed", program.name
        return "survived", ""

    def judge(self, mutant, text, order):
        """(verdict, which program killed it); the verdict also says what is no mutant."""
        path = self.tree / mutant.file
        path.write_text(mutant.apply(text))
        touched = [o for o in self.made.values() if str(path) in o.reads]
        try:
            return self.try_out(touched, order)
        finally:
            path.write_text(text)
            for object_ in touched:
                shutil.copy2(object_.path.with_suffix(".kept"), object_.path)
