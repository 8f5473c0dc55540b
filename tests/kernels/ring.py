# SPDX-License-Identifier: BSD-2-Clause
"""Packets in the ring of a real driver, which holds the pages of a program.

A guest sends through its network card; its driver gives the pages themselves to the
device. Outside, in a namespace of its own, is the far side. The path from the card to it:

    guest, eth0 | tap tg -- br0 -- out | eth0, far namespace 10.9.0.1

When the device stops working its ring off, connect(AF_UNSPEC) succeeds and frees what TCP
has, while the ring has what it has: those buffers must stay borrowed, through linger and in
quarantine, until the ring has let go. A look at the wire tells: a released buffer is
filled with a byte of the next tenant's, and none of them may pass. With the crime of
taking the abort for proof, as a control, they do.

How a device is stopped. virtio-net: what leaves towards far waits in a token-bucket
filter, charged to the tap's small send buffer, so the tap refuses, so qemu leaves the ring
alone. e1000e (whose packets qemu copies, whatever the tap says): the transmitter is
switched off in the card's control register; the driver, left alone with a hung ring,
would reset the card some seconds later.
"""
import contextlib
import os
import subprocess
import time

from guest import CannotRun, Guest, Network

HERE = os.path.dirname(os.path.abspath(__file__))
SENDER = "tests/kernels/sender"
CARDS = ["virtio-net-pci", "e1000e"]
PATIENCE_S = 120
TCTL, TCTL_EN = 0x400, 2  # transmit control of an e1000e, and its enable bit


def until(what, condition):
    """Waits for what is to happen; that it has taken long is no failure, that it does not is one."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not happen: {what}")
        time.sleep(0.05)


class Path(Network):
    """br0 has no address: the far side has a namespace of its own behind it."""

    def __init__(self):
        super().__init__()
        self.far = self.name + "-far"

    def up(self):
        super().up()
        self.run("ip", "address", "flush", "dev", "br0")
        # A packet that netfilter has seen is no longer charged to the tap that it came from.
        self.run("sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 >$f; done")
        if subprocess.run(["ip", "netns", "add", self.far], check=False).returncode:
            raise CannotRun("cannot make a second network namespace")
        self.run("ip", "link", "add", "out", "type", "veth", "peer", "name", "eth0", "netns", self.far)
        self.run("ip", "link", "set", "out", "master", "br0", "up")
        for command in (("link", "set", "lo", "up"), ("address", "add", self.address + "/24", "dev", "eth0"),
                        ("link", "set", "eth0", "up")):
            subprocess.run(["ip", "-n", self.far, *command], check=True)

    def far_argv(self, *command):
        return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.far, *command]

    def down(self):
        super().down()
        subprocess.run(["ip", "netns", "delete", self.far], capture_output=True, check=False)


class Part:
    """A wire.py in a namespace."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise CannotRun("wire.py did not start")

    def ask(self):
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return [int(word) for word in self.process.stdout.readline().split()]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Bench:
    def __init__(self, card, image, out):
        self.network = Path()
        self.guest = Guest(self.network, image, out, "g", "10.9.0.11", memory_mb=768)
        self.guest.card = card
        self.guest.kernel_line = "iomem=relaxed"  # the card's registers can be written
        if card.startswith("virtio"):
            self.guest.tap_options = ",sndbuf=131072"
        self.looker = None
        self.port = 5000
        self.log = open(os.path.join(out, f"ring-{card}.log"), "w")

    def start(self):
        self.network.up()
        self.say(*self.guest.start(300))
        self.looker = Part(self.network.argv(os.path.join(HERE, "wire.py"), "look", "tg"))

    def say(self, *words):
        print(*words, file=self.log, flush=True)

    def end(self):
        if self.looker:
            self.looker.end()
        self.guest.kill()
        self.network.down()
        self.log.close()

    # ---- the card ----

    def transmitter(self, on):
        status, output = self.guest.run(
            "set -- $(head -n 1 /sys/class/net/eth0/device/resource); a=$(($1 + %d)); v=$(devmem $a 32); "
            "devmem $a 32 $((%s)); devmem $a 32" % (TCTL, f"v | {TCTL_EN}" if on else f"v & ~{TCTL_EN}"))
        if status:
            raise CannotRun("cannot write the card's registers: " + output.strip())
        self.say("transmit control", output.strip())

    def stop_device(self):
        if self.guest.card == "e1000e":
            self.transmitter(False)
        else:
            self.network.run("tc", "qdisc", "replace", "dev", "out", "root", "tbf", "rate", "8kbit", "burst", "66000",
                             "limit", "500000000")
        until("nothing leaves the card any more", self.quiet)

    def start_device(self):
        """What waits in the filter is dropped; the ring is worked off."""
        if self.guest.card == "e1000e":
            self.transmitter(True)
        else:
            self.network.run("tc", "qdisc", "delete", "dev", "out", "root")

    @contextlib.contextmanager
    def stopped(self):
        """The device stands still as long as this lasts."""
        self.stop_device()
        try:
            yield
        finally:
            self.start_device()

    def quiet(self):
        """A look at half a second, which is no claim: a ring that is full enough has stopped."""
        before = self.looker.ask()[0]
        time.sleep(0.5)
        return self.looker.ask()[0] - before <= 1


class Transfer:
    """A sender in the guest and its receiver; what the wire shows is counted from its start."""

    def __init__(self, bench, **options):
        bench.port += 1
        self.bench, self.guest = bench, bench.guest
        self.receiver = Part(bench.network.far_argv(os.path.join(HERE, "wire.py"), "receive", str(bench.port)))
        self.before = bench.looker.ask()
        words = " ".join(f"{name}={value}" for name, value in options.items())
        self.file = f"/tmp/sender.{bench.port}"
        self.guest.start_job(f"cd /t; {SENDER} 10.9.0.1 {bench.port} {words} >{self.file} 2>&1; "
                             f"echo status $? >>{self.file}")

    def flowing(self):
        until("a megabyte arrives", lambda: self.receiver.ask()[1] > 1 << 20 or self.ended())

    def lines(self):
        """What the sender has said so far, in words."""
        return [line.split() for line in self.guest.run(f"cat {self.file}", 10)[1].splitlines()]

    def ended(self):
        return any(line[0] == "status" for line in self.lines() if line)

    def says(self, word):
        """The first line that begins with WORD, once there is one."""
        found = []

        def look():
            lines = self.lines()
            found[:] = [line for line in lines if line[:1] == [word]]
            return found or any(line[:1] == ["status"] for line in lines)
        until(f"the sender says {word}", look)
        claim(found, f"the sender says {word} before it ends")
        return found[0]

    def abort(self):
        """How many requests are left after connect(AF_UNSPEC)."""
        self.guest.run("killall -USR1 sender")
        return int(self.says("left")[1])

    def end(self):
        """(exit status, numbers of the last line, what the receiver saw, what the wire showed)"""
        try:
            status = int(self.says("status")[1])
            lines = self.lines()
            for line in lines:
                self.bench.say("   ", *line)
            wire = [now - then for now, then in zip(self.bench.looker.ask(), self.before)]
            received = self.receiver.ask()
            self.bench.say("    receiver", received, "wire", wire)
            numbers = [{name: int(value) for name, value in zip(line[1::2], line[2::2])}
                       for line in lines if line[:1] == ["end"]]
            return status, numbers[0] if numbers else {}, received, wire
        finally:
            self.receiver.end()


def claim(condition, what):
    if not condition:
        raise AssertionError("not so: " + what)


def clean(transfer):
    """All came back, nothing of the next tenant's was on the wire, nothing was copied."""
    status, numbers, received, wire = transfer.end()
    claim(status == 0 and numbers, f"every buffer came back (status {status})")
    claim(wire[3] == 0, "nothing escaped the look at the wire")
    claim(wire[1] > 0 and wire[2] == 0, f"no byte of the next tenant's on the wire ({wire[2]} of {wire[1]})")
    claim(received[2] == 0, f"what arrives is what was sent ({received[2]} of {received[1]} bytes are not)")
    claim(numbers["zerocopy"] > 0 and numbers["copied"] == 0, "the card took the pages themselves")
    return numbers, received


def skipped(transfer):
    """No io_uring in this kernel: the sender says so at once, and ends."""
    return transfer.lines()[:1] == [["skipped:", "no", "io_uring"]] and transfer.end()[0] == 77


# ---- the claims: each returns a detail, or None if this kernel cannot ----

def every_byte_arrives(bench, uring):
    transfer = Transfer(bench, uring=uring, count=300)
    transfer.says("status")
    if skipped(transfer):
        return None
    numbers, received = clean(transfer)
    claim(received[1] == 300 * (128 << 10), "every byte arrived")
    claim(numbers["quarantined"] == 0, "nothing was quarantined")
    return f"{received[1]} bytes"


def an_abort_gives_everything_back(bench, uring):
    transfer = Transfer(bench, uring=uring, linger_ms=20000)
    transfer.flowing()
    if skipped(transfer):
        return None
    left = transfer.abort()
    numbers, _ = clean(transfer)
    claim(numbers["quarantined"] == 0, "nothing was quarantined")
    return f"{left} left after the abort, the last after {numbers['after']} ms"


def a_vanished_host_is_found(bench, uring):
    transfer = Transfer(bench, uring=uring, stall_ms=500, linger_ms=20000)
    transfer.flowing()
    if skipped(transfer):
        return None
    bench.network.run("ip", "link", "set", "out", "down")
    try:
        claim(transfer.says("abort")[1] == "-110", "the abort says ETIMEDOUT")
        numbers, _ = clean(transfer)
    finally:
        bench.network.run("ip", "link", "set", "out", "up")
    claim(numbers["quarantined"] == 0, "nothing was quarantined")
    return f"the last {numbers['after']} ms after the abort"


def what_the_ring_has_stays_until_it_lets_go(bench, uring):
    transfer = Transfer(bench, uring=uring, linger_ms=300)
    transfer.flowing()
    if skipped(transfer):
        return None
    with bench.stopped():
        left = transfer.abort()
        claim(left > 0, "the ring has buffers after connect(AF_UNSPEC)")
        claim(int(transfer.says("quarantined")[3]) >= 300, "quarantine comes after linger_ms")
        claim(not transfer.ended(), "without proof nothing ends")
    numbers, _ = clean(transfer)
    claim(numbers["quarantined"] <= left, f"{numbers['quarantined']} were quarantined, at most {left}")
    return f"{numbers['quarantined']} of {left} quarantined, released by late proof after {numbers['after']} ms"


def what_the_ring_has_is_detached(bench, uring):
    transfer = Transfer(bench, uring=uring, linger_ms=60000, detach=1)
    transfer.flowing()
    if skipped(transfer):
        return None
    with bench.stopped():
        left = transfer.abort()
        claim(left > 0, "the ring has buffers after connect(AF_UNSPEC)")
        words = transfer.says("detached")
        claim(int(words[1]) == 0, f"{words[1]} are left after detaching")
        claim(not transfer.ended(), "without proof the connection does not end")
    numbers, _ = clean(transfer)
    claim(numbers["quarantined"] == 0, "nothing was quarantined")
    return f"{left} detached in {words[3]} us, and not a byte of the next tenant's"


def taking_the_abort_for_proof_is_seen_on_the_wire(bench, uring):
    transfer = Transfer(bench, uring=uring, linger_ms=20000, crime=1)
    transfer.flowing()
    if skipped(transfer):
        return None
    with bench.stopped():
        left = transfer.abort()
    status, numbers, _, wire = transfer.end()
    claim(status == 0 and left > 0 and numbers, "the control played")
    claim(wire[2] > 0, "the next tenant's bytes are on the wire")
    return f"{wire[2]} of {wire[1]} bytes on the wire are the next tenant's, {left} left after the abort"


CLAIMS = [every_byte_arrives, an_abort_gives_everything_back, a_vanished_host_is_found,
          what_the_ring_has_stays_until_it_lets_go, what_the_ring_has_is_detached,
          taking_the_abort_for_proof_is_seen_on_the_wire]


def run(card, image, out):
    """(passed, failed, skipped); a line for each claim, and a log of it, in OUT."""
    bench = Bench(card, image, out)
    counts = [0, 0, 0]
    try:
        bench.start()
        for uring in (0, 1):
            for play in CLAIMS:
                name = f"{card}, {'uring' if uring else 'socket'}: {play.__name__}"
                bench.say("==", name)
                try:
                    detail = play(bench, uring)
                    result, text = (0, "ok   ") if detail else (2, "skip ")
                except AssertionError as error:
                    result, text, detail = 1, "FAIL ", error
                counts[result] += 1
                for line in (f"{text}{name}: {detail or 'no io_uring here'}",):
                    print("     ", line, flush=True)
                    bench.say(line)
                if result == 1:
                    bench.guest.run("killall -KILL sender")
    finally:
        bench.end()
    return counts
