#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""mutate.py - does a test notice when one small thing in lib/ is wrong?

Makes mutants by a seed, spread over the files of lib/ by what there is to change in
each, until --count of them were C and made a difference; runs the fast tests on each.
The results file grows with each mutant, so that a run that was stopped goes on where
it was, as long as nothing in lib/ or tests/ has changed. doc/mutation.md.
"""
import argparse
import hashlib
import sys
import time
from collections import Counter, defaultdict
from multiprocessing import Process
from pathlib import Path

from bench import Bench
from mutants import SEMANTIC, enumerators_of, mutants_of, siblings_of

COUNTED = ("killed", "timeout", "survived")
LEAST_OF_A_FILE = 4


# what a mistake is made in: libzcreq and its guard. ev and uring have tests of their own.
ROOMS = "base", "core", "stream", "explain", "guard"


class Sources:
    def __init__(self, top, only):
        self.texts = {str(p.relative_to(top)): p.read_text()
                      for room in ROOMS for p in sorted((top / "lib" / room).glob("*.[ch]"))}
        self.enumerators, self.siblings = {}, {}
        headers = [path.read_text() for path in sorted((top / "include").rglob("*.h"))]
        for text in headers + list(self.texts.values()):
            self.enumerators.update(enumerators_of(text))
            self.siblings.update(siblings_of(text))
        if only:
            self.texts = {name: self.texts[name] for name in only}

    def mutants(self, seed, only):
        return {name: mutants_of(name, text, self.enumerators, self.siblings, seed, only)
                for name, text in self.texts.items()}


def fingerprint(top):
    digest = hashlib.sha256()
    for part in "lib", "include", "tests", "tools":
        for path in sorted((top / part).rglob("*.[ch]")):
            digest.update(str(path.relative_to(top)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def quotas(mutants, count):
    """How many of each file: in proportion, but a few of every one."""
    total = sum(len(list_) for list_ in mutants.values()) or 1
    return {name: min(len(list_), max(LEAST_OF_A_FILE, round(count * len(list_) / total)))
            for name, list_ in mutants.items()}


class Results:
    """One line for each mutant: verdict, killer, name, between tabs."""

    def __init__(self, path, head, again=False):
        self.path, self.verdicts, self.killers = path, {}, {}
        old, *lines = path.read_text().split("\n") if path.exists() else [""]
        if again:
            lines = [line for line in lines if not line.startswith("survived")]
        if again or old == head:
            for line in filter(None, lines):
                self.note(*line.split("\t"))
        if again or old != head:
            kept = [f"{self.verdicts[name]}\t{self.killers[name]}\t{name}" for name in self.verdicts]
            path.write_text("\n".join([head] + kept) + "\n")

    def note(self, verdict, killer, name):
        self.verdicts[name], self.killers[name] = verdict, killer

    def add(self, verdict, killer, name):
        self.note(verdict, killer, name)
        with self.path.open("a") as file:
            file.write(f"{verdict}\t{killer}\t{name}\n")


class Order:
    """Which test first: what has killed most in this file, then in all, then the quickest."""

    def __init__(self, results):
        self.by_file, self.by_all = defaultdict(Counter), Counter()
        for name, killer in results.killers.items():
            self.note(name.split(":")[0], killer)

    def note(self, file, killer):
        if killer:
            self.by_file[file][killer] += 1
            self.by_all[killer] += 1

    def of(self, file):
        here = self.by_file[file]
        return lambda programs: sorted(
            programs, key=lambda p: (-here[p.name], -self.by_all[p.name] / (p.seconds + 0.2), p.seconds))


class Run:
    def __init__(self, bench, sources, results):
        self.bench, self.sources, self.results = bench, sources, results
        self.order = Order(results)
        self.begin, self.done = time.monotonic(), 0

    def judge(self, mutant):
        if mutant.name not in self.results.verdicts:
            verdict, killer = self.bench.judge(mutant, self.sources.texts[mutant.file],
                                               self.order.of(mutant.file))
            self.results.add(verdict, killer, mutant.name)
            self.order.note(mutant.file, killer)
            self.done += 1
            if verdict == "survived":
                print(f"survived  {mutant.name}", flush=True)
        return self.results.verdicts[mutant.name]

    def file(self, list_, quota):
        counted = 0
        for mutant in list_:
            if counted == quota:
                break
            counted += self.judge(mutant) in COUNTED


def work(number, arguments, head, files):
    """One process with a bench of its own, for some of the files."""
    sources = Sources(arguments.top, files)
    results = Results(arguments.build / "results.txt", head)
    bench = Bench(arguments.top, arguments.build, number)
    bench.set_up(lambda text: print(text, flush=True))
    if not number:
        for p in bench.programs:
            print(f"{p.name}: {p.seconds:.2f} s, CK_FORK={p.fork}", flush=True)
    run = Run(bench, sources, results)
    mutants = sources.mutants(arguments.seed, arguments.only)
    for name in files:
        run.file(mutants[name], arguments.quota[name])
    spent = time.monotonic() - run.begin
    print(f"bench {number}: {run.done} built and tested in {spent:.0f} s", flush=True)


def share_out(quota, jobs):
    """Files to processes, so that each has about the same to do."""
    shares = [[] for _ in range(jobs)]
    for name in sorted(quota, key=lambda n: -quota[n]):
        min(shares, key=lambda share: sum(quota[n] for n in share)).append(name)
    return [sorted(share) for share in shares if share]


def report(arguments, head):
    verdicts = Results(arguments.build / "results.txt", head).verdicts
    print(f"\n{'file':<22}{'mutants':>8}{'killed':>8}{'by time':>8}{'survived':>9}{'same code':>10}{'no C':>6}")
    rows, total = defaultdict(Counter), Counter()
    for name, verdict in verdicts.items():
        file = name.split(":")[0]
        if file in arguments.quota:
            rows[file][verdict] += 1
            total[verdict] += 1
    for name, row in sorted(rows.items()) + [("all", total)]:
        counted = sum(row[v] for v in COUNTED)
        print(f"{name:<22}{counted:>8}{row['killed'] + row['timeout']:>8}{row['timeout']:>8}"
              f"{row['survived']:>9}{row['same code']:>10}{row['no C']:>6}")
    counted, killed = sum(total[v] for v in COUNTED), total["killed"] + total["timeout"]
    print(f"\nkilled {killed} of {counted}: {100 * killed / max(counted, 1):.1f} %")
    for name, verdict in sorted(verdicts.items()):
        if verdict == "survived":
            print(f"survived  {name}")
    return killed >= 0.95 * counted


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("top", type=Path)
    parser.add_argument("build", type=Path)
    parser.add_argument("--count", type=int, default=400, help="mutants, over all files (400)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes, a copy of the tree each")
    parser.add_argument("--again", action="store_true",
                        help="run only what survived before; believe the other verdicts, although "
                             "tests or lib/ may have changed since")
    parser.add_argument("--semantic", dest="only", action="store_const", const=SEMANTIC,
                        help="only what a person forgets or mixes up")
    parser.add_argument("file", nargs="*", help="lib/ROOM/NAME: only mutants of these")
    arguments = parser.parse_intermixed_args()
    arguments.top, arguments.build = arguments.top.resolve(), arguments.build.resolve()
    sources = Sources(arguments.top, arguments.file)
    arguments.quota = quotas(sources.mutants(arguments.seed, arguments.only), arguments.count)
    shares = share_out(arguments.quota, arguments.jobs)
    head = f"tree {fingerprint(arguments.top)} seed {arguments.seed}"
    print(f"{head}: {sum(arguments.quota.values())} mutants of {len(arguments.quota)} files", flush=True)
    Results(arguments.build / "results.txt", head, arguments.again)  # begins a new file if the tree is a new one
    workers = [Process(target=work, args=(i, arguments, head, share)) for i, share in enumerate(shares)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit("a worker stopped")
    sys.exit(0 if report(arguments, head) else 1)


if __name__ == "__main__":
    main()
