# SPDX-License-Identifier: BSD-2-Clause
"""What nvme-cli decodes of the target, against what the target was started with.

nvme-cli reads by its own structures, and every field that it prints is compared: one that is
not expected here is a failure. Registers are read one by one with get-property, because
show-regs of nvme-cli 2.3 asks fabrics targets for properties that they do not have, and prints
memory that it has not filled.
"""
import json

import target as targets
from report import Failure, Skip
from target import NQN, PORT

ANA_STATE = {"optimized": 1, "non-optimized": 2, "inaccessible": 3}[targets.ANA]
BLOCK_SHIFT = 12
ANY = object()

# Fields that say that there is nothing.
ZERO_CTRL = """vid ssvid rab ieee rtd3r rtd3e rrls crdt1 crdt2 crdt3 nvmsr vwci mec oacs npss avscc apsta
wctemp cctemp mtfa hmpre hmmin rpmbs edstt dsto fwug hctma mntmt mxtmt sanicap hmminds hmmaxd nsetidmax
endgidmax pels domainid fuses fna awun awupf icsvscc nwpc acwu ocfs maxcna icdoff fcatt""".split()
ZERO_NS = """nsfeat nlbaf flbas mc dpc dps rescap fpi nawun nawupf nacwu nabsn nabo nabspf noiob nsattr nvmsetid
mssrl mcl msrc nulbaf endgid""".split()


def controller():
    expected = dict.fromkeys(ZERO_CTRL, 0)
    expected.update(dict.fromkeys(("tnvmcap", "unvmcap", "megcap", "maxdna"), "0"))
    expected.update(
        sn=ANY, fr=ANY, cntlid=ANY, mn="zcreq-nvmet".ljust(40), subnqn=NQN, fguid=ANY, psds=ANY,
        cmic=0b1010, mdts=8, ver=0x10400, oaes=1 << 11, ctratt=1, cntrltype=1, acl=3, aerl=3, frmw=3, lpa=6,
        elpe=15, kas=1, anatt=1, anacap=1 << (ANA_STATE - 1) | 1 << 6, anagrpmax=1, nanagrpid=1, sqes=0x66,
        cqes=0x44, maxcmd=targets.QUEUE_SIZE, nn=len(targets.NAMESPACES), mnan=len(targets.NAMESPACES),
        oncs=0xd, vwc=6, sgls=0x100001, ioccsz=(64 + 8192) // 16, iorcsz=1, msdbd=1, ofcs=1)
    return expected


def namespace(number):
    blocks = targets.NAMESPACES[number]["size"] >> BLOCK_SHIFT
    expected = dict.fromkeys(ZERO_NS, 0)
    expected.update(nsze=blocks, ncap=blocks, nuse=blocks, nmic=1, dlfeat=9, nvmcap="0", anagrpid=1,
                    eui64="0" * 16, nguid=targets.NAMESPACES[number]["nguid"],
                    lbafs=[{"ms": 0, "ds": BLOCK_SHIFT, "rp": 0}])
    return expected


def descriptors(number):
    ns = targets.NAMESPACES[number]
    return {"ns-descs": [
        {"loc": 0, "nidt": 2, "nidl": 16, "type": "nguid", "nguid": ns["nguid"]},
        {"loc": 20, "nidt": 3, "nidl": 16, "type": "uuid", "uuid": ns["uuid"]},
        {"loc": 40, "nidt": 4, "nidl": 1, "type": "csi", "csi": "0"}]}


def compare(bench, command, expected):
    """Every field that the command prints; how many there were."""
    found = json.loads(bench.shell(f"nvme {command} -o json"))
    wrong = [f"{key} is {found.get(key)!r}, not {expected.get(key)!r}" for key in sorted({*found, *expected})
             if key not in found or key not in expected or expected[key] not in (found[key], ANY)]
    if wrong:
        raise Failure(f"{command}: " + "; ".join(wrong))
    return len(found)


def compare_properties(bench):
    """CAP, VS, CC and CSTS, by their bits."""
    mqes, to, css = targets.QUEUE_SIZE - 1, 10, 0x41
    expected = {0x00: mqes | 1 << 16 | to << 24 | css << 37, 0x08: 0x10400, 0x14: 0x460061, 0x1c: 1}
    for offset, value in expected.items():
        printed = bench.shell(f"nvme get-property /dev/nvme0 -o {offset:#x}")
        if int(printed.rsplit("value: ", 1)[1], 16) != value:
            raise Failure(f"{printed}, not {value:x}")
    return len(expected)


def compare_quiesce_time(bench):
    """Bytes 387:386 of Identify Controller, for which nvme-cli 2.3 has no name."""
    value = int(bench.shell("nvme id-ctrl /dev/nvme0 -b | od -An -tu2 -j386 -N2"))
    if value != targets.QUIESCE_MS:
        raise Failure(f"CQT is {value}, not {targets.QUIESCE_MS}")


def compare_all(bench):
    if not bench.target.logs:
        raise Skip("the kernel's target says other things")
    fields = compare_properties(bench)
    compare_quiesce_time(bench)
    fields += compare(bench, "id-ctrl /dev/nvme0", controller())
    fields += compare(bench, "nvm-id-ctrl /dev/nvme0", {
        "vsl": 0, "wzsl": 8, "wusl": 0, "dmrl": 64, "dmrsl": 1 << 20, "dmsl": 64 << 20})
    count = len(targets.NAMESPACES)
    fields += compare(bench, "list-ns /dev/nvme0", {"nsid_list": [{"nsid": nsid + 1} for nsid in range(count)]})
    for number in range(count):
        nsid = number + 1
        fields += compare(bench, f"id-ns /dev/nvme0n{nsid}", namespace(number))
        fields += compare(bench, f"ns-descs /dev/nvme0 -n {nsid}", descriptors(number))
        fields += compare(bench, f"nvm-id-ns /dev/nvme0n{nsid}", {
            "lbstm": 0, "pic": 0, "elbafs": [{"sts": 0, "pif": 0}]})
        fields += compare(bench, f"cmdset-ind-id-ns /dev/nvme0 -n {nsid}", {
            "nsfeat": 0, "nmic": 1, "rescap": 0, "fpi": 0, "anagrpid": 1, "nsattr": 0, "nvmsetid": 0, "endgid": 0,
            "nstat": 1})
    fields += compare(bench, f"discover {bench.address()}", {"genctr": 1, "records": [{
        "trtype": "tcp", "adrfam": "ipv4", "subtype": "nvme subsystem", "portid": 1, "trsvcid": str(PORT),
        "treq": "not specified, sq flow control disable supported", "subnqn": NQN, "eflags": "none",
        "traddr": bench.target.address, "sectype": "none"}]})
    return f"{fields} fields as the target was started"
