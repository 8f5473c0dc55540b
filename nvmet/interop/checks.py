# SPDX-License-Identifier: BSD-2-Clause
"""What a Linux host does to the target, one function for each check.

Every function takes a Bench (the report, the target, the guests) and returns a
detail for the log or raises. The vanish case has a file of its own, vanish.py.
"""
import json
import shutil
import subprocess
import time

from report import Failure, Skip
from target import NQN, PORT

DIGESTS = {"no digest": "", "header digest": "-g", "data digest": "-G", "both digests": "-g -G"}
DEVICE = "/dev/nvme0n1"
# Bytes of one transfer: single blocks, odd numbers of them, and past the largest
# in-capsule write, one H2CData PDU and one C2HData PDU.
SIZES = ["4k", "8k", "12k", "20k", "64k", "68k", "124k", "128k", "132k", "256k", "508k", "1M"]


class Bench:
    """What a check works with."""

    def __init__(self, report, network, target, guest, directory):
        self.report, self.network, self.target, self.guest = report, network, target, guest
        self.directory = directory

    def shell(self, text, timeout=60, guest=None):
        """Runs TEXT in the guest; a status other than 0 is a failure."""
        status, output = (guest or self.guest).run(text, timeout)
        if status:
            lines = " / ".join(output.strip().splitlines()[-4:])
            raise Failure(f"status {status}: {lines}")
        return output.strip()

    def address(self):
        return f"-t tcp -a {self.target.address} -s {PORT}"

    def connect(self, options="", guest=None):
        """nvme connect, and the wait for both namespaces' block devices."""
        return self.shell(f"""
            nvme connect {self.address()} -n {NQN} {options} || exit 1
            tries=0
            until [ -b {DEVICE} ] && [ -b /dev/nvme0n2 ]; do
                tries=$((tries + 1))
                [ $tries -gt 100 ] && {{ echo "no block device"; exit 9; }}
                usleep 100000
            done""", guest=guest)

    def disconnect(self, guest=None):
        self.shell(f"nvme disconnect -n {NQN} && ! [ -e /sys/class/nvme/nvme0 ]", guest=guest)


def last_line(output):
    return output.splitlines()[-1]


def discover(bench):
    output = bench.shell(f"nvme discover {bench.address()}")
    if f"subnqn:  {NQN}" not in output:
        raise Failure("not in the discovery log: " + output)
    return NQN


def write_and_verify(bench):
    """Every size at its own offset; the whole is read back again by another size."""
    script = "set -e; offset=0\n"
    for size in SIZES:
        script += (f"nvio {DEVICE} write bs={size} size=2M off=$offset seed=5 thr=8 >/dev/null\n"
                   f"nvio {DEVICE} verify bs={size} size=2M off=$offset seed=5 thr=8 rand=1\n"
                   "offset=$((offset + 2097152))\n")
    bench.shell(script, timeout=120)
    return f"2 MiB each in transfers of {' '.join(SIZES)}"


def small_blocks(bench):
    """Single blocks, and copies of odd lengths through the page cache."""
    bench.shell(f"""set -e
        lba=$(blockdev --getss {DEVICE})
        nvio {DEVICE} write bs=$lba size=512k off=40M seed=6 thr=16
        nvio {DEVICE} verify bs=$lba size=512k off=40M seed=6 thr=16 rand=1
        dd if=/dev/urandom of=/tmp/x bs=1000 count=3001 2>/dev/null
        dd if=/tmp/x of={DEVICE} bs=1M seek=50 conv=fsync 2>/dev/null
        echo 3 >/proc/sys/vm/drop_caches
        dd if={DEVICE} bs=1M skip=50 count=3 2>/dev/null | head -c 3001000 | cmp - /tmp/x""")
    return "blocks of " + bench.shell(f"blockdev --getss {DEVICE}") + " bytes, 3001000 bytes buffered"


def admin_commands(bench):
    bench.shell("""set -e
        for command in id-ctrl list-ns smart-log error-log fw-log list-subsys; do
            case $command in list-subsys) device= ;; *) device=/dev/nvme0 ;; esac
            nvme $command $device >/tmp/out 2>&1 || { echo "nvme $command:"; cat /tmp/out; exit 1; }
        done
        nvme id-ns /dev/nvme0n1 >/dev/null
        nvme ns-descs /dev/nvme0 -n 1 >/dev/null
        nvme list | grep -q nvme0n2
        nvme get-feature /dev/nvme0 -f 7 >/dev/null""")
    return "identify, log pages, features, list"


def other_commands(bench):
    """Flush, Write Zeroes, Dataset Management and Compare, where the target has them."""
    bench.shell(f"""
        nvme flush {DEVICE} || exit 1
        lba=$(blockdev --getss {DEVICE})
        oncs=$(nvme id-ctrl /dev/nvme0 | sed -n 's/^oncs *: *//p')
        nvio {DEVICE} write bs=4k size=4k off=60M seed=7 >/dev/null || exit 1
        dd if={DEVICE} of=/tmp/x bs=4k skip=15360 count=1 iflag=direct 2>/dev/null
        start=$((60 * 1048576 / lba)) count=$((4096 / lba - 1))
        if [ $((oncs & 1)) != 0 ]; then
            nvme compare {DEVICE} -s $start -c $count -z 4096 -d /tmp/x || exit 2
            dd if=/dev/zero of=/tmp/z bs=4k count=1 2>/dev/null
            nvme compare {DEVICE} -s $start -c $count -z 4096 -d /tmp/z && exit 3
        fi
        if [ $((oncs & 8)) != 0 ]; then
            nvme write-zeroes {DEVICE} -s $start -c $count || exit 4
            dd if={DEVICE} bs=4k skip=15360 count=1 iflag=direct 2>/dev/null | tr -d '\\000' | grep -q . && exit 5
        fi
        if [ $((oncs & 4)) != 0 ]; then
            nvme dsm {DEVICE} -n 1 -d -s $start -b $((count + 1)) || exit 6
        fi
        nvme read {DEVICE} -s $(blockdev --getsz {DEVICE}) -c 0 -z $lba >/tmp/out 2>&1 && exit 7
        exit 0""")
    return bench.shell("nvme id-ctrl /dev/nvme0 | grep ^oncs")


def file_system(bench):
    """An ext4 with real files, checked after a disconnect by contents and by e2fsck."""
    bench.shell(f"""set -e
        /sbin/mke2fs -q -t ext4 -F {DEVICE}
        mount -t ext4 {DEVICE} /mnt
        mkdir /mnt/a /mnt/b
        cp -r /lib /bin /usr/sbin /mnt/a
        i=0; while [ $i -lt 300 ]; do echo "file $i" >/mnt/b/$i; i=$((i + 1)); done
        rm /mnt/b/*7
        cd /mnt; find . -type f | sort | xargs sha256sum >/tmp/sums; cd /
        umount /mnt""", timeout=120)
    bench.disconnect()
    bench.connect("-g -G")
    return bench.shell(f"""set -e
        /sbin/e2fsck -fn {DEVICE} >/tmp/fsck 2>&1 || {{ cat /tmp/fsck; exit 1; }}
        mount -t ext4 -o discard {DEVICE} /mnt
        cd /mnt; sha256sum -c /tmp/sums >/tmp/checked || {{ grep -v OK /tmp/checked; exit 2; }}
        find . -type f | wc -l >/tmp/count; [ $(cat /tmp/count) = $(wc -l </tmp/sums) ]
        cd /; rm -r /mnt/a; fstrim /mnt || true; umount /mnt
        /sbin/e2fsck -fn {DEVICE} >/tmp/fsck 2>&1
        echo "$(cat /tmp/count) files, $(grep -c OK /tmp/checked) right, $(tail -n 1 /tmp/fsck)" """, timeout=120)


def mixed(bench):
    return last_line(bench.shell(
        f"nvio {DEVICE} write bs=4k size=16M seed=8 thr=32 >/dev/null && "
        f"nvio {DEVICE} mixed bs=4k size=16M seed=8 thr=64 rand=1 secs=5", timeout=60))


def fio(bench, *options):
    """What one fio job did to the device, in fio's own words."""
    return json.loads(bench.shell(
        f"fio --name=job --filename={DEVICE} --ioengine=libaio --direct=1 --thread --bs=4k --iodepth=32 --size=32M "
        f"--output-format=json --output=/tmp/fio.json {' '.join(options)} 2>&1 >/dev/null && cat /tmp/fio.json",
        timeout=120))["jobs"][0]


def fio_verifies(bench):
    """Every block is read or written once, in random order, and those written are read back."""
    job = fio(bench, "--rw=randrw", "--verify=crc32c", "--verify_state_save=0")
    reads, writes = job["read"]["total_ios"], job["write"]["total_ios"]
    if job["error"] or not writes or reads != 32 * 256:
        raise Failure(f"error {job['error']}, {writes} writes, {reads} reads of {32 * 256}")
    return f"{writes} writes read back among {reads} reads"


def fio_measures(bench):
    """A figure from the host's block layer. The guest is emulated where there is no KVM: then
    the figure tells of the emulator, and only that it is there tells of the target."""
    read = fio(bench, "--rw=randread", "--time_based", "--runtime=5")["read"]
    if not read["total_ios"]:
        raise Failure("no reads")
    p50, p99 = (read["clat_ns"]["percentile"][f"{percent}.000000"] / 1000 for percent in (50, 99))
    bench.report.note(f"bench=fio op=randread bs=4096 qd=32 iops={read['iops']:.0f} p50_us={p50:.0f} p99_us={p99:.0f}")
    return f"{read['total_ios']} reads"


def restart(bench):
    """The target ends and is started again in the midst of reads: the host finds the same namespaces
    by itself, and its reads go on. The reader ignores SIGPIPE, which Linux 6.1 sends to whoever submits
    a command at the moment at which its socket has closed."""
    if not bench.target.logs:
        raise Skip("the kernel's target is a guest of its own")
    bench.connect("-c 1 -l 60 -i 2")
    uuids = bench.shell("cat /sys/block/nvme0n*/uuid")
    job = bench.guest.start_job(f"trap '' PIPE; nvio {DEVICE} read bs=16k size=64M thr=32 rand=1 secs=6")
    time.sleep(2)
    if not job.running():
        raise Failure("the reader ended early: " + job.output)
    bench.target.stop()
    bench.target.start()
    back = time.monotonic()
    status, output = job.wait(60)
    if status:
        raise Failure(f"status {status}: {output}")
    if bench.shell("cat /sys/class/nvme/nvme0/state") != "live":
        raise Failure("the controller is not live")
    if bench.shell("cat /sys/block/nvme0n*/uuid") != uuids:
        raise Failure("the namespaces have other names")
    for qid in range(3):
        if not bench.target.find("connect", after=back - 1, qid=qid):
            raise Failure(f"queue {qid} was not connected again")
    bench.shell(f"nvio {DEVICE} write bs=16k size=4M seed=11 thr=8 && "
                f"nvio {DEVICE} verify bs=16k size=4M seed=11 thr=8 rand=1")
    bench.disconnect()
    return last_line(output)


def capture(bench):
    """One session with both digests, every PDU of it dissected by tshark."""
    for tool in ("dumpcap", "tshark"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool} (package tshark)")
    path = bench.directory + "/session.pcapng"
    dump = subprocess.Popen(
        bench.network.argv("dumpcap", "-q", "-i", "br0", "-B", "64", "-f", f"tcp port {PORT}", "-w", path),
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for line in dump.stderr:
            if line.startswith("File:"):
                break
        bench.connect("-g -G")
        for size in ("4k", "16k", "128k", "512k"):
            bench.shell(f"nvio {DEVICE} write bs={size} size=1M seed=9 thr=4 && "
                        f"nvio {DEVICE} verify bs={size} size=1M seed=9 thr=4")
        bench.disconnect()
        time.sleep(0.5)
    finally:
        dump.terminate()
        _, ending = dump.communicate(timeout=10)
    if "dropped" in ending and "/0 " not in ending:
        bench.report.note("dumpcap: " + ending.strip().splitlines()[-1])
    return dissect(path)


def tshark(path, *arguments):
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-d", f"tcp.port=={PORT},nvme-tcp", "-o", "nvme-tcp.check_hdgst:TRUE",
         "-o", "nvme-tcp.check_ddgst:TRUE", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure("tshark: " + done.stderr.strip())
    return done.stdout.splitlines()


def dissect(path):
    pdus = {}
    for line in tshark(path, "-Y", "nvme-tcp", "-T", "fields", "-e", "nvme-tcp.type"):
        for kind in line.split(","):
            pdus[int(kind, 0)] = pdus.get(int(kind, 0), 0) + 1
    wrong = tshark(path, "-Y", "_ws.malformed || nvme-tcp.hdgst.status == 0 || nvme-tcp.ddgst.status == 0")
    if wrong:
        raise Failure(f"{len(wrong)} malformed frames, the first: {wrong[0]}")
    names = {0: "ICReq", 1: "ICResp", 4: "CapsuleCmd", 5: "CapsuleResp", 6: "H2CData", 7: "C2HData", 9: "R2T"}
    lacking = [name for kind, name in names.items() if not pdus.get(kind)]
    if lacking:
        raise Failure(f"the capture has no {', '.join(lacking)}: {pdus}")
    return ", ".join(f"{count} {names.get(kind, kind)}" for kind, count in sorted(pdus.items()))


def orderly_end(bench):
    status = bench.target.stop()
    if status != 0:
        raise Failure(f"exit status {status} after SIGTERM")
    return None
