# SPDX-License-Identifier: BSD-2-Clause
"""A private network, and Linux guests on it.

A Network is a network namespace with a bridge: 10.9.0.1 is the namespace itself,
where what the guests talk to listens. A Guest is a virtual machine with a tap on that
bridge.
It is driven through a virtio-serial port, so that commands still get through, with
real exit codes, while its network link is cut.

Nothing here outlives its owner: qemu dies with the process that started it
(PR_SET_PDEATHSIG), and Network.sweep() removes namespaces whose owner was killed.
"""
import base64
import json
import os
import signal
import socket
import subprocess
import threading
import time

PREFIX = "zcreq-interop-"


class CannotRun(Exception):
    """This machine lacks something: the test is skipped with this reason."""


def alive(pid):
    """Whether there is such a process, and it is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Network:
    """A namespace with a bridge; needs root."""

    address = "10.9.0.1"

    def __init__(self):
        self.name = PREFIX + str(os.getpid())

    def argv(self, *command):
        """COMMAND inside the namespace, ended when this process is."""
        return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.name, *command]

    def run(self, *command):
        done = subprocess.run(self.argv(*command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def up(self):
        self.sweep()
        made = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True,
                              check=False)
        if made.returncode:
            raise CannotRun("cannot make a network namespace: " + made.stderr.strip())
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0")
        self.run("ip", "address", "add", self.address + "/24", "dev", "br0")
        self.run("ip", "link", "set", "br0", "up")

    def tap(self, name):
        self.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
        self.run("ip", "link", "set", name, "master", "br0")
        self.run("ip", "link", "set", name, "up")

    def down(self):
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)

    @staticmethod
    def sweep():
        """Removes what a run that was killed has left behind."""
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False)
        for name in (line.split()[0] for line in listed.stdout.splitlines() if line):
            if name.startswith(PREFIX) and not alive(name.removeprefix(PREFIX).split("-")[0]):
                subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


class Job:
    """A command that runs in a guest."""

    def __init__(self):
        self._ended = threading.Event()
        self.status = None
        self.output = ""

    def finish(self, status, output):
        self.status, self.output = status, output
        self._ended.set()

    def running(self):
        return not self._ended.is_set()

    def wait(self, seconds):
        """(status, output); status 124 when it has not ended in time."""
        if self._ended.wait(seconds):
            return self.status, self.output
        return 124, f"no answer in {seconds} s"


class Control:
    """The host's end of the agent's port: many jobs at a time, told apart by number."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.jobs = {}
        self.last = 0
        self.lock = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, text):
        job = Job()
        with self.lock:
            self.last += 1
            self.jobs[self.last] = job
            line = f"{self.last} {base64.b64encode(text.encode()).decode()}\n"
            try:
                self.socket.sendall(line.encode())
            except OSError as error:
                job.finish(126, f"the guest is gone: {error}")
        return job

    def _read(self):
        with self.socket.makefile("rb") as stream:
            try:
                for line in stream:
                    if line.startswith(b"@@R "):
                        _, number, status, size = line.split()
                        output = stream.read(int(size)).decode(errors="replace")
                        self.jobs.pop(int(number)).finish(int(status), output)
            except OSError:
                pass
        for job in list(self.jobs.values()):
            job.finish(126, "the guest is gone")

    def close(self):
        self.socket.close()


class Guest:
    """One virtual machine; `accelerators` are tried in order until one starts."""

    accelerators = ["kvm", "tcg,thread=multi,tb-size=256"]
    card = "virtio-net-pci"
    tap_options = ""   # as qemu spells them: ",sndbuf=131072"
    kernel_line = ""   # more for the kernel's command line

    def __init__(self, network, image, directory, name, address, memory_mb=384, cpus=1):
        self.network, self.image, self.name, self.address = network, image, name, address
        self.directory = os.path.join(directory, name)
        self.memory_mb, self.cpus = memory_mb, cpus
        self.process = self.control = None
        self.has_tap = False

    def path(self, name):
        return os.path.join(self.directory, name)

    def _argv(self, accelerator):
        mac = "52:54:00:09:00:%02x" % int(self.address.split(".")[3])
        kernel_line = ("console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable no_timer_check "
                       "random.trust_cpu=on nvme_core.multipath=N "
                       f"g.ip={self.address}/24 g.hostname={self.name} {self.kernel_line}")
        # The "microvm" machine hangs at boot on a busy host; q35 without its gadgets is as fast.
        return self.network.argv(
            "qemu-system-x86_64", "-name", self.name, "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-machine", "q35,smbus=off,sata=off,usb=off,vmport=off,hpet=off",
            "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max",
            "-smp", str(self.cpus), "-m", str(self.memory_mb),
            "-kernel", self.image + "/vmlinuz", "-initrd", self.image + "/initrd.cpio",
            "-append", kernel_line,
            "-chardev", f"file,id=console,path={self.path('console.log')}", "-serial", "chardev:console",
            "-qmp", f"unix:{self.path('qmp')},server=on,wait=off",
            "-netdev", f"tap,id=nd0,ifname=t{self.name},script=no,downscript=no,vhost=off{self.tap_options}",
            "-device", f"{self.card},netdev=nd0,id=net0,mac={mac},romfile=",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=control,path={self.path('control')},server=on,wait=off",
            "-device", "virtserialport,chardev=control,name=control")

    def start(self, timeout=120):
        """Boots it; returns the kernel's version and the seconds that it took."""
        os.makedirs(self.directory, exist_ok=True)
        if not self.has_tap:
            self.network.tap("t" + self.name)
            self.has_tap = True
        reason = "no accelerator"
        for accelerator in self.accelerators:
            if accelerator == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
                continue
            began = time.monotonic()
            try:
                self._launch(accelerator, began + timeout)
            except CannotRun as error:
                reason = str(error)
                self.kill()
                continue
            status, output = self.start_job("uname -r").wait(timeout)
            if status == 0:
                return output.strip(), accelerator.split(",", 1)[0], time.monotonic() - began
            reason = f"the guest does not answer ({output.strip()}): " + self._tail("console.log")
            self.kill()
        raise CannotRun(f"guest {self.name}: {reason}")

    def _launch(self, accelerator, deadline):
        for name in ("qmp", "control"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        with open(self.path("qemu.log"), "w") as log:
            self.process = subprocess.Popen(self._argv(accelerator), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        while not os.path.exists(self.path("control")):
            if self.process.poll() is not None:
                raise CannotRun(f"qemu with {accelerator} ended: " + self._tail("qemu.log"))
            if time.monotonic() > deadline:
                raise CannotRun("qemu made no control socket in time")
            time.sleep(0.02)
        try:
            self.control = Control(self.path("control"))
        except OSError as error:
            raise CannotRun(f"qemu with {accelerator} ended: " + self._tail("qemu.log")) from error

    def _tail(self, name):
        try:
            with open(self.path(name), errors="replace") as log:
                return " / ".join(log.read().strip().splitlines()[-3:])
        except OSError:
            return ""

    def start_job(self, text):
        """A shell command in the guest, not waited for."""
        return self.control.start(text)

    def run(self, text, timeout=60):
        return self.start_job(text).wait(timeout)

    def qmp(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(10)
            monitor.connect(self.path("qmp"))
            stream = monitor.makefile("rw")
            stream.readline()
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                stream.flush()
                while True:
                    answer = json.loads(stream.readline())
                    if "error" in answer:
                        raise RuntimeError(f"{name}: {answer['error']}")
                    if "return" in answer:
                        break

    def link(self, up):
        """Cuts the network: no FIN, no RST, the guest has vanished; or brings it back."""
        self.qmp("set_link", name="net0", up=up)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.control:
            self.control.close()
            self.control = None
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process = None
