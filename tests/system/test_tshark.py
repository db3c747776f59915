# SPDX-License-Identifier: Apache-2.0
# An independent decoder reads what goes over the wire: tshark, without keys and with them.
import base64

import pytest

from conftest import DUT
from lib import noise, traffic

FIELDS = ("wg.type", "wg.handshake_ok", "wg.receiver_pubkey.known_privkey",
          "wg.static.known_pubkey", "wg.timestamp.nanoseconds", "ip.src", "icmp.type")


def tshark(net, pcap, *args):
    done = net.hosts[0].run("tshark", "-n", "-r", pcap, *args, timeout=60)
    return done.stdout


def test_handshake_and_data(net, pair, impls):
    """Initiation, response and data, decrypted with the static keys and the initiator's ephemeral."""
    p = pair(*impls)
    wire = traffic.Capture(p.b, "eth0")
    p.connect()
    traffic.ping(p.a, p.b4, count=3)
    wire.stop()
    pcap = net.file("wire.pcap")
    wire.write_pcap(pcap)
    plain = tshark(net, pcap, "-Y", "wg", "-T", "fields", "-e", "wg.type").split()
    assert plain[:3] == ["1", "2", "4"] and set(plain) == {"1", "2", "4"}
    assert not tshark(net, pcap, "-Y", "_ws.malformed")
    # with the responder's static key the initiation opens: who it is from, and its time
    keylog = net.file("keys")
    with open(keylog, "w") as f:
        f.write(f"LOCAL_STATIC_PRIVATE_KEY = {p.wb.key.private64}\n"
                f"REMOTE_STATIC_PUBLIC_KEY = {p.wa.key.public64}\n")
    opened = tshark(net, pcap, "-o", f"wg.keylog_file:{keylog}", "-Y", "wg.type == 1",
                    "-T", "fields", "-e", "wg.static", "-e", "wg.receiver_pubkey",
                    "-e", "wg.timestamp.nanoseconds").split()
    assert opened[0] == p.wa.key.public64 and opened[1] == p.wb.key.public64
    assert opened[2].isdigit()


@pytest.mark.parametrize("role", ["initiator", "responder"])
@pytest.mark.parametrize("psk", [bytes(32), b"\5" * 32], ids=["no psk", "psk"])
def test_decrypted(net, bench, psk, role):
    """With the ephemeral of one side, tshark confirms the response and reads inside the data."""
    t = bench()
    wire = traffic.Capture(t.x, "eth0")
    if role == "initiator":  # the peer by hand begins; the daemon answers
        p = t.peer("10.99.0.1/32", connect=False, psk=psk)
        h = p.handshake()
        p.send(h.initiation())
        p.session = h.read_response(p.receive(noise.RESPONSE))
    else:
        p = t.known_peer("10.99.0.1/32", psk=psk, keepalive=25)
        h = p.handshake()
        h.read_initiation(p.receive(noise.INITIATION))
        reply, p.session = h.response()
        p.send(reply)
        assert p.receive(noise.DATA), "the session was not confirmed"
    assert t.echo(p)
    wire.stop()
    pcap, keylog = net.file("wire.pcap"), net.file("keys")
    wire.write_pcap(pcap)
    with open(keylog, "w") as f:
        f.write(f"LOCAL_STATIC_PRIVATE_KEY = {p.key.private64}\n"
                f"REMOTE_STATIC_PUBLIC_KEY = {t.w.key.public64}\n"
                f"LOCAL_EPHEMERAL_PRIVATE_KEY = {h.ephemeral.private64}\n"
                f"PRESHARED_KEY = {base64.b64encode(psk).decode()}\n")
    text = tshark(net, pcap, "-o", f"wg.keylog_file:{keylog}", "-T", "fields",
                  "-e", "wg.type", "-e", "wg.handshake_ok", "-e", "icmp.type")
    lines = [line.split("\t") for line in text.splitlines()]
    assert ["2", "1", ""] in lines, text
    assert any(x[0] == "4" and x[2] in ("8", "0") for x in lines), text
    assert {x[2] for x in lines} >= {"8", "0"}, text
