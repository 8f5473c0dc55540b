#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""report.py TOP BUILD - line and branch coverage of lib/, from gcov's own output

Prints one row for each file and one for all, then every branch and line that was
never taken and is not excused; exits with 1 if there is one. doc/coverage.md says
how inline functions, assertions and excuses are counted.
"""
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

EXCUSE = re.compile(r"/\* uncovered: (.+?)(?: \*/|$)")


class Source:
    """The text of one file of lib/: which lines are assertions or excused."""

    def __init__(self, path):
        self.lines = path.read_text().split("\n")
        self.asserts, self.excuses = set(), {}
        inside = False
        for number, line in enumerate(self.lines, 1):
            inside = inside or bool(re.search(r"\bzcreq_assert\(", line))
            if inside and not line.lstrip().startswith("#define"):
                self.asserts.add(number)
            inside = inside and ";" not in line
            excuse = EXCUSE.search(line)
            if excuse:
                alone = line.lstrip().startswith("/*")
                self.excuses[self.after_comment(number) if alone else number] = excuse[1]

    def after_comment(self, number):
        while "*/" not in self.lines[number - 1]:
            number += 1
        return number + 1


class Counts:
    """What was counted in one file: of each line its executions and branches."""

    def __init__(self):
        self.lines = defaultdict(int)
        self.branches = defaultdict(list)

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        known = self.branches[number, line.get("function_name")]
        for i, branch in enumerate(line["branches"]):
            if i == len(known):
                known.append(0)
            known[i] += branch["count"]


def counted(top, build):
    """Adds up what all objects say: an inline function is compiled in many of them."""
    files = defaultdict(Counts)
    notes = sorted(build.rglob("*.gcda"))
    if not notes:
        sys.exit(f"{build}: nothing was counted")
    for note in notes:
        out = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", note],
                             check=True, capture_output=True, text=True, cwd=note.parent).stdout
        for text in filter(None, out.split("\n")):
            told = json.loads(text)
            where = Path(told["current_working_directory"])
            for file in told["files"]:
                path = (where / file["file"]).resolve()
                if path.is_relative_to(top / "lib"):
                    for line in file["lines"]:
                        files[path].add(line)
    return files


class Report:
    def __init__(self):
        self.columns = ("lines", "of", "branches", "of", "excused", "asserts")
        self.all = [0] * len(self.columns)
        self.missing, self.excused = [], []

    def row(self, name, figures):
        lines, of_lines, branches, of_branches, excused, asserts = figures
        share = 100 * branches / of_branches if of_branches else 100
        print(f"{name:<18}{lines:>6} /{of_lines:>5}{branches:>8} /{of_branches:>5}"
              f"{share:>8.1f} %{excused:>9}{asserts:>9}")

    def head(self):
        print(f"{'file':<18}{'lines':>6} /{'all':>5}{'branches':>8} /{'all':>5}"
              f"{'':>10}{'excused':>9}{'asserts':>9}")

    def file(self, path, counts):
        source = Source(path)
        figures = [0] * len(self.columns)
        used = set()
        for number, count in sorted(counts.lines.items()):
            excuse = source.excuses.get(number)
            if not count and excuse:
                used.add(number)
                figures[4] += 1
                continue
            figures[1] += 1
            figures[0] += count > 0
            if not count:
                self.missing.append((path, number, "never executed"))
        for (number, _), branches in sorted(counts.branches.items(), key=lambda item: item[0][0]):
            if number in source.asserts:
                figures[5] += len(branches)
                continue
            for i, count in enumerate(branches):
                if not count and number in source.excuses:
                    used.add(number)
                    figures[4] += 1
                    continue
                figures[3] += 1
                figures[2] += count > 0
                if not count and counts.lines[number]:
                    self.missing.append((path, number, f"branch {i + 1} of {len(branches)} never taken"))
        for number in used:
            self.excused.append((path, number, source.excuses[number]))
        for number in source.excuses.keys() - used:
            self.missing.append((path, number, "is covered, but excused"))
        self.row(path.name, figures)
        self.all = [a + b for a, b in zip(self.all, figures)]

    def end(self, top):
        self.row("all", self.all)
        for title, entries in ("excused", self.excused), ("missing", self.missing):
            print(f"\n{len(entries)} {title}")
            for path, number, what in entries:
                print(f"{path.relative_to(top)}:{number}: {what}")
        return 1 if self.missing else 0


def main():
    top, build = (Path(argument).resolve() for argument in sys.argv[1:3])
    files = counted(top, build)
    never = [path for path in sorted((top / "lib").rglob("*.c")) if path not in files]
    report = Report()
    report.head()
    for path, counts in sorted(files.items()):
        report.file(path, counts)
    for path in never:
        report.missing.append((path, 1, "no object of it was ever run"))
    sys.exit(report.end(top))


if __name__ == "__main__":
    main()
