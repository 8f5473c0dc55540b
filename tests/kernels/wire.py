#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""What ring.py has in a network namespace: who receives, and who looks at the wire.

    wire.py receive PORT    takes what sender.c sends: request n is 128 KiB of n % 200 + 1
    wire.py look INTERFACE  counts TCP payload that passes the interface, from the guest

A line on stdin is a question; the answer is a line of numbers.
    receive: connections, bytes, bytes that are not what they must be
    look:    frames, bytes, bytes of the next tenant's, frames that it lost
"""
import select
import socket
import struct
import sys

EACH_BYTES = 128 << 10
NEXT_TENANT = 0xDB
ETH_P_ALL, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 3, 33, 263, 6


class Receiver:
    def __init__(self, port):
        self.listener = socket.create_server(("0.0.0.0", int(port)))
        self.conns = []
        self.count = self.bytes = self.wrong = 0

    def sources(self):
        return [self.listener] + self.conns

    def serve(self, ready):
        if ready is self.listener:
            self.conns.append(ready.accept()[0])
            self.count += 1
            return
        try:
            data = ready.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self.conns.remove(ready)
            ready.close()
        at = 0
        while at < len(data):
            number, into = divmod(self.bytes, EACH_BYTES)
            piece = data[at:at + EACH_BYTES - into]
            self.wrong += len(piece) - piece.count(number % 200 + 1)
            self.bytes += len(piece)
            at += len(piece)

    def answer(self):
        return f"{self.count} {self.bytes} {self.wrong}"


class Looker:
    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, 0))
        self.frames = self.bytes = self.tenants = self.lost = 0

    def sources(self):
        return [self.socket]

    def serve(self, _):
        frame, address = self.socket.recvfrom(1 << 17)
        if address[2] == socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            return
        tcp = 14 + (frame[14] & 15) * 4
        total = struct.unpack("!H", frame[16:18])[0]
        data = frame[tcp + (frame[tcp + 12] >> 4) * 4:14 + total if total else None]
        self.frames += 1
        self.bytes += len(data)
        self.tenants += data.count(NEXT_TENANT)

    def answer(self):
        self.lost += struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        return f"{self.frames} {self.bytes} {self.tenants} {self.lost}"


def main():
    part = {"receive": Receiver, "look": Looker}[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    while True:
        for ready in select.select([sys.stdin] + part.sources(), [], [])[0]:
            if ready is not sys.stdin:
                part.serve(ready)
            elif sys.stdin.readline():
                print(part.answer(), flush=True)
            else:
                return


main()
