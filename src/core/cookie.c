/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cookies and MACs (WireGuard paper 5.3, 5.4.4, 5.4.7). The checker's mac1 key is read by workers
 * while the owner may change it: a sequence lock over atomics, since a change is a rare thing and
 * a reader must not wait.
 */
#include "core/cookie.h"

#include <string.h>

#include "util/cursor.h"

#define MSG_COOKIE_REPLY 3
#define COOKIE_NONCE_AT  8
#define COOKIE_SEALED_AT (COOKIE_NONCE_AT + WEFT_XNONCE_LEN)

static const char mac1_label[] = "mac1----";
static const char cookie_label[] = "cookie--";
#define LABEL_LEN 8

static int derive(struct weft_crypto *c, uint8_t out[WEFT_HASH_LEN], const char *label,
		  const uint8_t public_key[WEFT_KEY_LEN])
{
	return weft_hash(c, out, label, LABEL_LEN, public_key, WEFT_KEY_LEN);
}

/* ---- the device's side ---- */

void weft_cookie_checker_init(struct weft_cookie_checker *ck, const struct weft_rng *rng)
{
	atomic_store_explicit(&ck->seq, 0, memory_order_relaxed);
	for (size_t i = 0; i < 4; i++)
		atomic_store_explicit(&ck->mac1_key[i], 0, memory_order_relaxed);
	weft_secret_clear(&ck->cookie_key);
	weft_secret_clear(&ck->secret);
	ck->secret_born_ns = 0;
	ck->has_secret = false;
	ck->rng = *rng;
	atomic_store_explicit(&ck->has_key, false, memory_order_release);
}

void weft_cookie_checker_fini(struct weft_cookie_checker *ck)
{
	struct weft_rng rng = ck->rng;

	weft_cookie_checker_init(ck, &rng);
}

static void publish_mac1_key(struct weft_cookie_checker *ck, const uint8_t *key, bool has_key)
{
	uint32_t seq = atomic_load_explicit(&ck->seq, memory_order_relaxed);

	atomic_store_explicit(&ck->seq, seq + 1, memory_order_relaxed);
	/* release on each word: a reader that sees a new word sees the odd number too */
	for (size_t i = 0; i < 4; i++)
		atomic_store_explicit(&ck->mac1_key[i], weft_get_le64(key + 8 * i),
				      memory_order_release);
	atomic_store_explicit(&ck->has_key, has_key, memory_order_release);
	atomic_store_explicit(&ck->seq, seq + 2, memory_order_release);
}

int weft_cookie_checker_set_key(struct weft_cookie_checker *ck, struct weft_crypto *c,
				const uint8_t *public_key)
{
	uint8_t mac1_key[WEFT_HASH_LEN] = {0}, cookie_key[WEFT_HASH_LEN] = {0};
	int rc = 0;

	if (public_key) {
		rc = derive(c, mac1_key, mac1_label, public_key);
		if (rc == 0)
			rc = derive(c, cookie_key, cookie_label, public_key);
	}
	if (rc == 0) {
		memcpy(ck->cookie_key.b, cookie_key, sizeof(cookie_key));
		publish_mac1_key(ck, mac1_key, public_key != NULL);
	}
	weft_wipe(mac1_key, sizeof(mac1_key));
	weft_wipe(cookie_key, sizeof(cookie_key));
	return rc;
}

/* False if there is no key. */
static bool load_mac1_key(const struct weft_cookie_checker *ck, uint8_t key[WEFT_HASH_LEN])
{
	uint32_t before, after;
	bool has_key;

	do {
		before = atomic_load_explicit(&ck->seq, memory_order_acquire);
		has_key = atomic_load_explicit(&ck->has_key, memory_order_acquire);
		/* acquire on each word: the second look at seq does not move before them */
		for (size_t i = 0; i < 4; i++)
			weft_put_le64(key + 8 * i,
				      atomic_load_explicit(&ck->mac1_key[i], memory_order_acquire));
		after = atomic_load_explicit(&ck->seq, memory_order_relaxed);
	} while (before != after || (before & 1));
	return has_key;
}

int weft_cookie_check_mac1(const struct weft_cookie_checker *ck, struct weft_crypto *c,
			   const uint8_t *msg, size_t len)
{
	uint8_t key[WEFT_HASH_LEN], mac[WEFT_MAC_LEN];
	int rc = WEFT_E_AUTH;

	if (len < WEFT_COOKIE_MACS_LEN)
		return WEFT_E_TRUNCATED;
	if (load_mac1_key(ck, key)) {
		size_t at = len - WEFT_COOKIE_MACS_LEN;

		rc = weft_mac(c, mac, key, sizeof(key), msg, at);
		if (rc == 0 && !weft_ct_equal(mac, msg + at, WEFT_MAC_LEN))
			rc = WEFT_E_AUTH;
	}
	weft_wipe(key, sizeof(key));
	weft_wipe(mac, sizeof(mac));
	return rc;
}

/* The cookie of a source: over address and port both, or a NAT's other users would share it. */
static int make_cookie(struct weft_cookie_checker *ck, struct weft_crypto *c,
		       const struct weft_endpoint *from, uint64_t now_ns,
		       uint8_t cookie[WEFT_COOKIE_LEN])
{
	uint8_t source[16 + 2];
	size_t n = weft_family_bytes(from->ip.family);

	if (!ck->has_secret || now_ns - ck->secret_born_ns >= WEFT_COOKIE_SECRET_AGE_NS) {
		ck->rng.fill(ck->rng.ctx, ck->secret.b, sizeof(ck->secret.b));
		ck->secret_born_ns = now_ns;
		ck->has_secret = true;
	}
	memcpy(source, from->ip.b, n);
	weft_put_be16(source + n, from->port);
	return weft_mac(c, cookie, ck->secret.b, sizeof(ck->secret.b), source, n + 2);
}

int weft_cookie_check_mac2(struct weft_cookie_checker *ck, struct weft_crypto *c,
			   const uint8_t *msg, size_t len, const struct weft_endpoint *from,
			   uint64_t now_ns)
{
	uint8_t cookie[WEFT_COOKIE_LEN], mac[WEFT_MAC_LEN];
	int rc;

	if (len < WEFT_COOKIE_MACS_LEN)
		return WEFT_E_TRUNCATED;
	rc = make_cookie(ck, c, from, now_ns, cookie);
	if (rc == 0)
		rc = weft_mac(c, mac, cookie, sizeof(cookie), msg, len - WEFT_MAC_LEN);
	if (rc == 0 && !weft_ct_equal(mac, msg + len - WEFT_MAC_LEN, WEFT_MAC_LEN))
		rc = WEFT_E_AUTH;
	weft_wipe(cookie, sizeof(cookie));
	weft_wipe(mac, sizeof(mac));
	return rc;
}

int weft_cookie_reply(struct weft_cookie_checker *ck, struct weft_crypto *c, const uint8_t *msg,
		      size_t len, uint32_t receiver, const struct weft_endpoint *from,
		      uint64_t now_ns, uint8_t out[WEFT_COOKIE_REPLY_LEN])
{
	uint8_t cookie[WEFT_COOKIE_LEN];
	int rc;

	if (len < WEFT_COOKIE_MACS_LEN)
		return WEFT_E_TRUNCATED;
	rc = make_cookie(ck, c, from, now_ns, cookie);
	if (rc == 0) {
		weft_put_le32(out, MSG_COOKIE_REPLY);
		weft_put_le32(out + 4, receiver);
		ck->rng.fill(ck->rng.ctx, out + COOKIE_NONCE_AT, WEFT_XNONCE_LEN);
		rc = weft_xaead_seal(c, &ck->cookie_key, out + COOKIE_NONCE_AT,
				     msg + len - WEFT_COOKIE_MACS_LEN, WEFT_MAC_LEN,
				     out + COOKIE_SEALED_AT, cookie, sizeof(cookie));
	}
	weft_wipe(cookie, sizeof(cookie));
	return rc;
}

/* ---- a peer's side ---- */

int weft_cookie_peer_init(struct weft_cookie_peer *p, struct weft_crypto *c,
			  const uint8_t public_key[WEFT_KEY_LEN])
{
	int rc;

	weft_cookie_peer_clear(p);
	rc = derive(c, p->mac1_key, mac1_label, public_key);
	if (rc == 0)
		rc = derive(c, p->cookie_key, cookie_label, public_key);
	return rc;
}

void weft_cookie_peer_clear(struct weft_cookie_peer *p)
{
	weft_wipe(p, sizeof(*p));
}

int weft_cookie_add_macs(struct weft_cookie_peer *p, struct weft_crypto *c, uint8_t *msg,
			 size_t len, uint64_t now_ns)
{
	uint8_t *mac1, *mac2;
	int rc;

	if (len < WEFT_COOKIE_MACS_LEN)
		return WEFT_E_TRUNCATED;
	mac1 = msg + len - WEFT_COOKIE_MACS_LEN;
	mac2 = msg + len - WEFT_MAC_LEN;
	rc = weft_mac(c, mac1, p->mac1_key, sizeof(p->mac1_key), msg, len - WEFT_COOKIE_MACS_LEN);
	if (rc)
		return rc;
	memcpy(p->last_mac1, mac1, WEFT_MAC_LEN);
	p->has_mac1 = true;
	if (p->has_cookie &&
	    now_ns - p->born_ns >= WEFT_COOKIE_SECRET_AGE_NS - WEFT_COOKIE_LATENCY_NS) {
		weft_wipe(p->cookie, sizeof(p->cookie));
		p->has_cookie = false;
	}
	if (p->has_cookie)
		return weft_mac(c, mac2, p->cookie, sizeof(p->cookie), msg, len - WEFT_MAC_LEN);
	memset(mac2, 0, WEFT_MAC_LEN);
	return 0;
}

int weft_cookie_consume(struct weft_cookie_peer *p, struct weft_crypto *c, const uint8_t *reply,
			size_t len, uint64_t now_ns)
{
	uint8_t cookie[WEFT_COOKIE_LEN];
	struct weft_secret key;
	int rc;

	if (len != WEFT_COOKIE_REPLY_LEN)
		return WEFT_E_TRUNCATED;
	if (!p->has_mac1)
		return WEFT_E_AUTH;
	memcpy(key.b, p->cookie_key, sizeof(key.b));
	rc = weft_xaead_open(c, &key, reply + COOKIE_NONCE_AT, p->last_mac1, WEFT_MAC_LEN, cookie,
			     reply + COOKIE_SEALED_AT, WEFT_COOKIE_SEALED);
	if (rc == 0) {
		memcpy(p->cookie, cookie, sizeof(cookie));
		p->born_ns = now_ns;
		p->has_cookie = true;
		p->has_mac1 = false;
	}
	weft_wipe(cookie, sizeof(cookie));
	weft_secret_clear(&key);
	return rc;
}
