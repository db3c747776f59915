# SPDX-License-Identifier: Apache-2.0
"""The floors: what weftd must reach, most of them as ratios against wireguard-go in one run.

They were shown to be within reach on two cores of a machine with AVX-512, where the AEAD costs a
third of what it costs without; on a machine with AVX2 alone the TCP ones may be out of reach.
"""
AT_LEAST, AT_MOST = ">=", "<="

# measure, as report.ROWS names it: (kind, sense, bound); kind "ratio" is weftd / wireguard-go,
# "value" is weftd's own figure
FLOORS = {
    "tcp1": ("ratio", AT_LEAST, 4.3),
    "tcp8": ("ratio", AT_LEAST, 4.5),
    "tcp_bidir": ("ratio", AT_LEAST, 3.5),
    "plain_tcp1": ("ratio", AT_LEAST, 2.2),
    "tcp1_cpu": ("ratio", AT_MOST, 0.25),
    "udp1400": ("ratio", AT_LEAST, 4),
    "udp64": ("ratio", AT_LEAST, 5),
    "ping_idle_p50": ("ratio", AT_MOST, 0.25),
    "ping_load_p99": ("ratio", AT_MOST, 1 / 6),
    "relay_tcp": ("ratio", AT_LEAST, 3.5),
    "relay100": ("ratio", AT_LEAST, 5),
    "relay_tcp@weftd-relay": ("ratio", AT_LEAST, 5),
    "relay100@weftd-relay": ("ratio", AT_LEAST, 8),
    "tcp1@weftd-openssl": ("ratio", AT_LEAST, 2.8),
    "handshakes": ("ratio", AT_LEAST, 2.4),
    "memory": ("value", AT_MOST, 64),
    "idle_peer_bytes": ("value", AT_MOST, 1024),
}
