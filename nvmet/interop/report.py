# SPDX-License-Identifier: BSD-2-Clause
"""One line for each check, a count at the end, and the exit status."""
import sys
import time


class Failure(Exception):
    """A check did not hold."""


class Skip(Exception):
    """A check could not be made, for this reason."""


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.began = time.monotonic()

    def note(self, text):
        print(f"     {text}", flush=True)

    def skip(self, name, reason):
        self.skipped += 1
        print(f"skip {name}: {reason}", flush=True)

    def fail(self, name, error):
        self.failed += 1
        kind = "" if isinstance(error, Failure) else type(error).__name__ + ": "
        print(f"FAIL {name}: {kind}{error}", flush=True)

    def check(self, name, action, *arguments):
        """Runs ACTION: it returns a detail to print, or raises. True when it held."""
        try:
            detail = action(*arguments)
        except Skip as reason:
            self.skip(name, reason)
            return False
        except Exception as error:  # whatever went wrong is this check's failure
            self.fail(name, error)
            return False
        self.passed += 1
        print(f"ok   {name}" + (f": {detail}" if detail else ""), flush=True)
        return True

    def finish(self):
        print(f"took {time.monotonic() - self.began:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        if self.failed or not self.passed + self.skipped:
            return 1
        return 77 if self.skipped else 0


def skip_all(reason):
    """The whole test cannot run here."""
    print(f"skip: {reason}")
    print("0 passed, 0 failed, 1 skipped", flush=True)
    sys.exit(77)
