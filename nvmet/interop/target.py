# SPDX-License-Identifier: BSD-2-Clause
"""The two targets that the interop test knows how to start.

Zcreq is the one under test, a process in the namespace; its log lines are events
with the time at which they came, and are what the vanish case is judged by.
Kernel is the Linux kernel's own target in a guest: it proves that the test itself
is right, but has no log to judge by.
"""
import os
import re
import signal
import subprocess
import threading
import time

from guest import CannotRun, Guest
from report import Failure

NQN = "nqn.2014-08.org.example:zcreq-interop"
PORT = 4420
# What the target is started with, none of it the default: nvme-cli has to decode as much.
QUEUE_SIZE, IO_QUEUES, QUIESCE_MS, ANA = 200, 5, 77, "optimized"
NAMESPACES = [
    {"size": 256 << 20, "uuid": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "nguid": "4711cafe00000000" "0000000000000001"},
    {"size": 64 << 20, "uuid": "7d444840-9dc0-11d1-b245-5ffdce74fad3", "nguid": "4711cafe00000000" "0000000000000002"},
]


class Event:
    """A log line: a first word and key=value pairs."""

    def __init__(self, text):
        self.time = time.monotonic()
        self.text = text
        words = text.split()
        self.word = words[0] if words else ""
        self.fields = dict(re.findall(r"([\w-]+)=(\S+)", text))

    def number(self, key):
        return int(self.fields.get(key, "-1"))


class Zcreq:
    """zcreq-nvmet with namespaces in memory, which a restart leaves empty."""

    logs = True

    def __init__(self, network, program, sender, stall_ms, log_path):
        self.network, self.program, self.stall_ms, self.log_path = network, program, stall_ms, log_path
        self.sender = sender
        self.address = network.address
        open(log_path, "w").close()
        self.list_path = os.path.join(os.path.dirname(log_path), "namespaces")
        self.process = None
        self.events = []
        self.news = threading.Condition()

    def start(self):
        with open(self.list_path, "w") as lines:
            for ns in NAMESPACES:
                lines.write(f"uuid={ns['uuid']} nguid={ns['nguid']} mem:{ns['size'] >> 10}K\n")
        argv = self.network.argv(
            self.program, "--listen", f"{self.address}:{PORT}", "--nqn", NQN, "--namespaces", self.list_path,
            "--queue-size", str(QUEUE_SIZE), "--io-queues", str(IO_QUEUES), "--quiesce-ms", str(QUIESCE_MS),
            "--ana", ANA, "--sender", self.sender, "--stall-ms", str(self.stall_ms))
        started = time.monotonic()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        ready = self.wait_for("ready", 10, after=started)
        if not ready:
            raise Failure("zcreq-nvmet is not ready: " + " / ".join(e.text for e in self.events[-3:]))
        return ready.text

    def _read(self, lines):
        with open(self.log_path, "a") as log:
            for line in lines:
                event = Event(line.strip())
                log.write(f"{event.time:.6f} {event.text}\n")
                log.flush()
                with self.news:
                    self.events.append(event)
                    self.news.notify_all()

    def find(self, word, after=0.0, **fields):
        return [e for e in list(self.events) if e.word == word and e.time >= after
                and all(e.fields.get(k) == str(v) for k, v in fields.items())]

    def wait_for(self, word, seconds, after=0.0, **fields):
        """The first such event, or None when none came in time."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                found = self.find(word, after, **fields)
                left = deadline - time.monotonic()
                if found or left <= 0 or self.process.poll() is not None:
                    return found[0] if found else None
                self.news.wait(min(left, 0.1))

    def stats(self):
        """The process' totals, now."""
        asked = time.monotonic()
        self.process.send_signal(signal.SIGUSR1)
        event = self.wait_for("stats", 5, after=asked)
        if not event:
            raise Failure("no statistics after SIGUSR1")
        return event

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def stop(self):
        """The exit status of an orderly end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode if self.process else None


class Kernel:
    """nvmet-tcp over two RAM disks, in a guest of its own."""

    logs = False
    stall_ms = None

    def __init__(self, network, image, directory):
        self.guest = Guest(network, image, directory, "target", "10.9.0.9", memory_mb=640)
        self.address = self.guest.address

    def start(self):
        version, _, _ = self.guest.start()
        status, output = self.guest.run(
            "modprobe brd rd_nr=2 rd_size=131072 && "
            f"nvmet {NQN} {self.address} {PORT} /dev/ram0 /dev/ram1")
        if status:
            raise CannotRun("the kernel's target does not start: " + output)
        return f"ready, Linux {version}'s own target at {self.address}"

    def stop(self):
        self.guest.kill()
        return 0


def make(options, network, image):
    """The target that the command line asks for."""
    if options.kernel_target:
        return Kernel(network, image, options.directory)
    return Zcreq(network, options.target, options.sender, options.stall_ms,
                 os.path.join(options.directory, "target.log"))
