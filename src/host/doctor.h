/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an interface does not work. Facts go in (facts.h gathers them), findings come out, from the
 * bottom up: what a later one needs is looked at first. Pure. What is not known is no fault.
 */
#ifndef WEFT_HOST_DOCTOR_H
#define WEFT_HOST_DOCTOR_H

#include "conf/quick.h"
#include "host/look.h"
#include "host/ruleset.h"
#include "host/status.h"
#include "linux/probe.h"
#include "linux/way.h"

#define WEFT_DOCTOR_MAX_ADDRESSES 8

enum weft_answer { WEFT_NOT_KNOWN, WEFT_NO, WEFT_YES };

/* What became of a name of the file. */
enum weft_doctor_dns {
	WEFT_DNS_NOT_ASKED,
	WEFT_DNS_FOUND,
	WEFT_DNS_NO_SUCH_NAME, /* there is none, or none with an address */
	WEFT_DNS_NO_ANSWER,    /* no name server answered, or it failed */
};

struct weft_doctor_name {
	char host[256];
	enum weft_doctor_dns dns;
	struct weft_ip found[WEFT_DOCTOR_MAX_ADDRESSES];
	size_t n_found;
};

/* Figures of a peer at one time. */
struct weft_doctor_figures {
	bool counts; /* the handshakes: weftd alone has them */
	uint64_t initiated, completed;
	bool heard;
	uint64_t heard_s; /* ago */
	uint64_t last_handshake_sec;
	uint64_t rx_bytes, tx_bytes;
};

struct weft_doctor_peer {
	uint8_t public_key[WEFT_KEY_LEN];
	char name[WEFT_STATUS_NAME_LEN];
	bool in_file, on_device;
	bool comes_by_itself; /* the file has it without an endpoint: what there is was learned */
	enum weft_answer same_psk; /* on the device as in the file */
	bool has_psk;
	uint16_t keepalive_s;
	struct weft_endpoint endpoint; /* the device's, else the file's; WEFT_NONE: none */
	struct weft_doctor_name dns;   /* of its first endpoint that has a name; host "": none */
	bool way_asked;
	int way_rc; /* of weft_way_find to the endpoint; if 0: */
	struct weft_way way;
	bool port_asked;
	int port_rc; /* of weft_probe_port to it */
	/* At first, and at the end, when something had been sent to it if `provoked`. */
	struct weft_doctor_figures before, after;
	bool provoked;
	/* Echo requests through the tunnel; small ones first. */
	enum weft_answer small_answered, large_answered;
	uint32_t large_bytes, fits_bytes; /* which was tried; the largest answered, 0: none */
	uint32_t path_mtu;                /* weftd's; 0: not measured */
};

/* Where packets to a peer's allowed IP go. */
struct weft_doctor_route {
	size_t peer;
	struct weft_prefix prefix;
	int rc; /* of weft_way_find to an address in it */
	struct weft_way way;
};

/* Figures of the device at first and at the end; only with weftd. */
enum weft_doctor_drop {
	WEFT_DOCTOR_MAC1,
	WEFT_DOCTOR_HANDSHAKE,
	WEFT_DOCTOR_UNKNOWN_PEER,
	WEFT_DOCTOR_TIMESTAMP,
	WEFT_DOCTOR_ALLOWED_IPS,
	WEFT_DOCTOR_NO_PEER,
	WEFT_DOCTOR_LOOP,
	WEFT_DOCTOR_DROPS,
};

struct weft_doctor_facts {
	char ifname[WEFT_QUICK_NAME_LEN];
	const struct weft_quick *file; /* borrowed; NULL: there is none, or it cannot be read */
	char file_fault[512];          /* why it cannot */
	bool root;                     /* else much is not known */
	/* clock */
	uint64_t now_sec;
	enum weft_answer synchronised;
	/* module or daemon, link */
	struct weft_host_look look;
	enum weft_answer kernel_has_wireguard;
	bool has_device; /* the rest is of the device only if it could be read */
	int device_rc;
	/* keys */
	bool has_private_key;
	enum weft_answer same_key; /* on the device as in the file */
	uint8_t public_key[WEFT_KEY_LEN];
	/* port */
	uint16_t listen_port; /* the device's, else the file's; 0: none */
	bool port_known;
	struct weft_port_holder holder;
	bool firewall_known;
	struct weft_ruleset_verdict firewall;
	/* */
	uint32_t fwmark;
	bool relays;
	uint64_t drops[WEFT_DOCTOR_DROPS][2];
	bool has_drops;
	enum weft_answer rp_filter_strict, src_valid_mark, forwards;
	struct weft_doctor_peer *peers;
	size_t n_peers;
	struct weft_doctor_route *routes;
	size_t n_routes;
};

/* From the bottom up. */
enum weft_doctor_step {
	WEFT_STEP_FILE,
	WEFT_STEP_CLOCK,
	WEFT_STEP_BACKEND,
	WEFT_STEP_LINK,
	WEFT_STEP_KEY,
	WEFT_STEP_PORT,
	WEFT_STEP_DNS,
	WEFT_STEP_ROUTE,
	WEFT_STEP_SENT,
	WEFT_STEP_KEYS,
	WEFT_STEP_ANSWERED,
	WEFT_STEP_ALLOWED_IPS,
	WEFT_STEP_MTU,
	WEFT_STEP_NAT,
	WEFT_STEP_FIREWALL,
};

enum weft_severity {
	WEFT_SEVERITY_NOTE,    /* good to know, or not known */
	WEFT_SEVERITY_SUSPECT, /* it may be the cause of what is seen */
	WEFT_SEVERITY_FAULT,   /* it is wrong, whatever else is */
};

struct weft_finding {
	enum weft_doctor_step step;
	enum weft_severity severity;
	char peer[WEFT_STATUS_NAME_LEN]; /* "" if it is not about one */
	char what[512];
	char to_do[512]; /* "" if there is nothing to do */
};

struct weft_findings {
	struct weft_finding *v; /* in the order of the steps */
	size_t n, cap;
};

/* 0 or -ENOMEM. `ret` starts zeroed and is cleared by the caller. Any thread. */
WEFT_MUST_CHECK int weft_doctor_diagnose(const struct weft_doctor_facts *facts,
					 struct weft_findings *ret);
void weft_findings_clear(struct weft_findings *f);

/* The first that is more than a note: what explains the rest, or the best guess. NULL: none is. */
const struct weft_finding *weft_doctor_cause(const struct weft_findings *f);

/* "clock", "backend", …; "note", "suspect", "fault". Static. */
const char *weft_step_name(enum weft_doctor_step step);
const char *weft_severity_name(enum weft_severity severity);

#endif
