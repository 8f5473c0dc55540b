# SPDX-License-Identifier: BSD-2-Clause
"""The host that vanishes while it reads at full depth, and comes back.

The link of guest one is cut: no FIN, no RST. From then on the target is judged by
its own log, and guest two, which reads and writes all the time, by its errors.
"""
import time

from checks import DEVICE, last_line
from report import Failure, Skip

KEEP_ALIVE_S = 5
MARGIN_MS = 50
OTHERS = "/dev/nvme0n2"


class Vanish:
    """The state that the steps of this case share."""

    def __init__(self, bench, other):
        self.bench, self.other = bench, other
        self.target = bench.target
        self.cut = None
        self.reader = self.mixer = None
        self.controller = None

    def needs_log(self):
        if not self.target.logs:
            raise Skip("the kernel's target has no log to judge by")

    def prepare(self):
        began = time.monotonic()
        self.bench.connect(f"-k {KEEP_ALIVE_S} -c 1 -l 120 -Q 128")
        if self.target.logs:
            admin = self.target.wait_for("connect", 5, after=began, qid=0)
            if not admin:
                raise Failure("the target logged no connect")
            self.controller = admin.fields["ctrl"]
        self.bench.connect("", guest=self.other)
        self.bench.shell(f"nvio {DEVICE} write bs=128k size=64M seed=21 thr=8")
        self.bench.shell(f"nvio {OTHERS} write bs=4k size=8M seed=22 thr=32", guest=self.other)
        return f"controller {self.controller or 'unknown'}"

    def cut_the_link(self):
        """Both guests at work, then the cut."""
        self.mixer = self.other.start_job(f"nvio {OTHERS} mixed bs=4k size=8M seed=22 thr=32 rand=1 secs=12")
        self.reader = self.bench.guest.start_job(
            f"nvio {DEVICE} read bs=128k size=64M thr=200 rand=1 secs=4")
        time.sleep(2)
        if not self.reader.running():
            raise Failure("the reader ended early: " + self.reader.output)
        before = self.bench.guest.run("cat /proc/uptime")[0]
        self.bench.guest.link(False)
        self.cut = time.monotonic()
        if before or self.bench.guest.run("true")[0]:
            raise Failure("the guest does not answer on its control port")
        return "200 readers of 128 KiB, queues of 128"

    def released(self):
        """Everything of that controller is freed within the stall limit and a margin."""
        self.needs_log()
        gone = self.target.wait_for("controller-gone", self.target.stall_ms / 1000 + 5, after=self.cut,
                                    ctrl=self.controller)
        if not gone:
            raise Failure(f"controller {self.controller} was not freed")
        ends = self.target.find("abort", after=self.cut, ctrl=self.controller)
        connected = {e.fields["qid"] for e in self.target.find("connect", ctrl=self.controller)}
        if sorted(e.fields["qid"] for e in ends) != sorted(connected):
            raise Failure(f"queues {sorted(connected)} were connected, ended: {[e.text for e in ends]}")
        in_flight = sum(e.number("outstanding") for e in ends)
        if not in_flight or in_flight != sum(e.number("released") for e in ends):
            raise Failure("in flight and released: " + " / ".join(e.text for e in ends))
        took_ms = (max(e.time for e in [*ends, gone]) - self.cut) * 1000
        if took_ms > self.target.stall_ms + MARGIN_MS:
            raise Failure(f"took {took_ms:.0f} ms, the stall limit is {self.target.stall_ms} ms")
        return (f"{in_flight} requests in flight, {len(ends)} queues and the controller freed "
                f"{took_ms:.0f} ms after the cut, stall limit {self.target.stall_ms} ms")

    def expiry_finds_nothing(self):
        self.needs_log()
        time.sleep(max(0.0, self.cut + KEEP_ALIVE_S + 2.5 - time.monotonic()))
        found = self.target.find("keep-alive", after=self.cut)
        if found:
            raise Failure("it found something to do: " + found[0].text)
        stats = self.target.stats()
        if stats.number("controllers") != 1 or stats.number("quarantined") != 0:
            raise Failure("one controller should be left: " + stats.text)
        return f"{time.monotonic() - self.cut:.1f} s after the cut: {stats.text}"

    def other_is_served(self):
        status, output = self.mixer.wait(60)
        if status:
            raise Failure(f"status {status}: {output}")
        return last_line(output.strip())

    def comes_back(self):
        """The link returns; the guest reconnects by itself and its reads go on."""
        self.bench.guest.link(True)
        returned = time.monotonic()
        status, output = self.reader.wait(90)
        if status:
            raise Failure(f"status {status}: {output}")
        state = self.bench.shell("cat /sys/class/nvme/nvme*/state")
        if state != "live":
            raise Failure("the controller is " + state)
        return f"live {time.monotonic() - returned:.1f} s after the link; {last_line(output.strip())}"

    def data_is_right(self):
        output = self.bench.shell(f"nvio {DEVICE} verify bs=128k size=64M seed=21 thr=8 rand=1", timeout=90)
        self.bench.shell(f"nvio {OTHERS} verify bs=4k size=8M seed=22 thr=32", guest=self.other)
        return last_line(output)

    def disconnects(self):
        self.bench.disconnect()
        self.bench.disconnect(guest=self.other)
        if not self.target.logs:
            return None
        deadline = time.monotonic() + 5
        while (stats := self.target.stats()).number("controllers") and time.monotonic() < deadline:
            time.sleep(0.05)
        if stats.number("controllers") or stats.number("begun") != stats.number("released"):
            raise Failure(stats.text)
        return stats.text

    def steps(self):
        yield "vanish: two guests connected", self.prepare
        yield "vanish: link cut while reading at full depth", self.cut_the_link
        yield "vanish: requests, queues and controller freed in time", self.released
        yield "vanish: keep-alive expiry finds nothing left", self.expiry_finds_nothing
        yield "vanish: the other guest was served without an error", self.other_is_served
        yield "vanish: the link returns and the guest reconnects", self.comes_back
        yield "vanish: data verified in both guests", self.data_is_right
        yield "vanish: both disconnect, nothing is left", self.disconnects
