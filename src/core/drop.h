/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every reason why the core drops a packet: one code and one counter each. The names are what the
 * UAPI's extra keys and the metrics show.
 */
#ifndef WEFT_CORE_DROP_H
#define WEFT_CORE_DROP_H

/* X(code, name, sentence) */
#define WEFT_DROP_TABLE(X)                                                                         \
	X(RX_MALFORMED, "rx_malformed", "received: wrong type, reserved bytes or length")          \
	X(RX_MAC1, "rx_mac1", "received handshake: mac1 is wrong")                                 \
	X(RX_QUEUE_FULL, "rx_queue_full", "received handshake: the handshake queue is full")       \
	X(RX_RATELIMIT, "rx_ratelimit", "received handshake: over the rate of its source address") \
	X(RX_COOKIE_SENT, "rx_cookie_sent",                                                        \
	  "received handshake: under load, answered by a cookie")                                  \
	X(RX_HANDSHAKE, "rx_handshake", "received handshake: did not authenticate")                \
	X(RX_UNKNOWN_PEER, "rx_unknown_peer", "received initiation: public key is no peer's")      \
	X(RX_TIMESTAMP, "rx_timestamp", "received initiation: timestamp is not newer")             \
	X(RX_FLOOD, "rx_flood", "received initiation: sooner than 20 ms after the last")           \
	X(RX_NO_KEYPAIR, "rx_no_keypair", "received handshake: no keypair slot or memory is free") \
	X(RX_NO_INDEX, "rx_no_index", "received: receiver index belongs to no session")            \
	X(RX_COOKIE, "rx_cookie", "received cookie reply: unexpected or did not authenticate")     \
	X(RX_EXPIRED, "rx_expired", "received data: its keypair is past its time or messages")     \
	X(RX_AUTH, "rx_auth", "received data: did not authenticate")                               \
	X(RX_REPLAY, "rx_replay", "received data: counter was seen or is too old")                 \
	X(RX_INNER, "rx_inner", "received data: inner packet is not IPv4 or IPv6, or too short")   \
	X(RX_ALLOWED_IPS, "rx_allowed_ips", "received data: inner source is not the peer's")       \
	X(RX_ECN, "rx_ecn", "received data: congestion mark on a flow without ECN (RFC 6040)")     \
	X(RX_DELAY, "rx_delay", "received data: waits are too long, and its flow knows no marks")  \
	X(RX_DOWN, "rx_down", "received: the interface is down")                                   \
	X(RX_SELF_ROUTED, "rx_self_routed", "received: its source is routed into this tunnel")     \
	X(TX_INNER, "tx_inner", "to send: packet is not IPv4 or IPv6, or malformed")               \
	X(TX_QUEUE, "tx_queue", "to send: no memory to wait in, and its flow holds most of it")    \
	X(TX_DELAY, "tx_delay", "to send: its flow's waits are too long, and it knows no marks")   \
	X(TX_NO_PEER, "tx_no_peer", "to send: no peer is allowed the destination")                 \
	X(TX_NO_ENDPOINT, "tx_no_endpoint", "to send: the peer has no endpoint")                   \
	X(TX_DOWN, "tx_down", "to send: the interface is down")                                    \
	X(TX_STAGE_FULL, "tx_stage_full", "waiting for a handshake: 128 packets, oldest dropped")  \
	X(TX_BUDGET, "tx_budget", "waiting for a handshake: the memory budget is spent")           \
	X(TX_HANDSHAKE_FAILED, "tx_handshake_failed", "waiting for a handshake: it failed")        \
	X(TX_PATH_MTU, "tx_path_mtu", "to send: too long for the peer's path, answered by ICMP")   \
	X(TX_EXPIRED, "tx_expired", "to send: keypair ran out between lookup and encryption")      \
	X(TX_CRYPTO, "tx_crypto", "to send: the cryptographic library failed")                     \
	X(TX_SOCKET, "tx_socket", "to send: the socket refused the datagram")                      \
	X(TX_LOOP, "tx_loop", "to send: the endpoint is routed into this tunnel")                  \
	X(RELAY_TTL, "relay_ttl", "relayed: its time to live ended here, answered by ICMP")        \
	X(RELAY_MTU, "relay_mtu", "relayed: longer than the MTU, answered by ICMP")                \
	X(RELAY_POLICY, "relay_policy", "relayed: the policy does not let it pass")                \
	X(TUN_WRITE, "tun_write", "decrypted: the tunnel device refused the packet")

enum weft_drop {
#define X(code, name, sentence) WEFT_DROP_##code,
	WEFT_DROP_TABLE(X)
#undef X
		WEFT_DROP_COUNT
};

/* "rx_replay" and so on; "unknown" outside the range. Static text, any thread. */
const char *weft_drop_name(enum weft_drop reason);

#endif
