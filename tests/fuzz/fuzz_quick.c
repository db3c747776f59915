/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg-quick's file: an error always has a place and a sentence; what is left when the file is
 * stripped is WireGuard's own, the same device, and loses nothing when it is stripped again.
 */
#include <string.h>

#include "conf/quick.h"
#include "fuzz.h"

static void check_texts(const struct weft_quick_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		FUZZ_CHECK(t->v[i] && !strchr(t->v[i], '\n'));
}

static void check_parsed(const struct weft_quick *q)
{
	for (size_t i = 0; i < q->n_addresses; i++)
		FUZZ_CHECK(q->addresses[i].len <= weft_family_bits(q->addresses[i].ip.family));
	FUZZ_CHECK((q->table == WEFT_QUICK_TABLE_NAME) == (q->table_name[0] != '\0'));
	FUZZ_CHECK(q->n_peers == q->wg.dev.n_peers);
	for (size_t i = 0; i < q->n_peers; i++)
		for (size_t j = 0; j < q->peers[i].n_endpoints; j++)
			FUZZ_CHECK(q->peers[i].endpoints[j].text && q->peers[i].endpoints[j].line);
	FUZZ_CHECK(!q->mtu_auto || !q->mtu);
	FUZZ_CHECK(!q->mtu || (q->mtu >= 68 && q->mtu <= 65535));
	check_texts(&q->dns_servers);
	check_texts(&q->dns_search);
	check_texts(&q->pre_up);
	check_texts(&q->post_up);
	check_texts(&q->pre_down);
	check_texts(&q->post_down);
}

/* WireGuard's reader makes of the stripped text what wg-quick's made of the whole. */
static void check_same_device(const struct weft_quick *q, const struct weft_text *stripped)
{
	struct weft_ini_result r = {0};
	struct weft_text a = {0}, b = {0};

	FUZZ_CHECK(!weft_ini_parse(stripped->p, stripped->len, &r, NULL, NULL, NULL));
	FUZZ_CHECK(!weft_ini_write(&a, &q->wg.dev) && !weft_ini_write(&b, &r.dev));
	FUZZ_CHECK(a.len == b.len && !memcmp(a.p, b.p, a.len));
	FUZZ_CHECK(q->wg.names.n == r.names.n);
	weft_text_clear(&a);
	weft_text_clear(&b);
	weft_ini_result_clear(&r);
}

/* What is written of it can be read again; who has what is clear, or there are two places. */
static void check_written(const struct weft_quick *q)
{
	const struct weft_quick_now now = {.dev = &q->wg.dev,
					   .addresses = q->addresses,
					   .n_addresses = q->n_addresses,
					   .mtu = q->mtu,
					   .dns_servers = &q->dns_servers,
					   .dns_search = &q->dns_search};
	struct weft_text text = {0};
	struct weft_diag diag = {0};
	struct weft_quick again = {0};
	int rc = weft_quick_check_claims(q, &diag);

	FUZZ_CHECK(!rc || (rc == WEFT_E_PARSE && diag.line > 0 && diag.hint[0]));
	FUZZ_CHECK(!weft_quick_write(&text, q, &now));
	FUZZ_CHECK(!weft_quick_parse(text.p, text.len, &again, NULL, NULL, NULL));
	FUZZ_CHECK(again.n_peers == q->n_peers && again.n_addresses == q->n_addresses);
	for (size_t i = 0; i < q->n_peers; i++)
		FUZZ_CHECK(q->peers[i].n_places == q->wg.dev.peers[i].n_allowed_ips);
	weft_text_clear(&text);
	weft_quick_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct weft_quick q = {0};
	struct weft_text once = {0}, twice = {0};
	struct weft_diag diag = {0}, strip_diag = {0};
	struct weft_fault fault = {0};
	int parsed = weft_quick_parse(text, size, &q, NULL, NULL, &diag);
	int stripped = weft_quick_strip(text, size, &once, &fault, &strip_diag);

	FUZZ_CHECK(!parsed || (parsed == WEFT_E_PARSE && diag.line > 0 && diag.message[0]));
	if (stripped) {
		FUZZ_CHECK(stripped == WEFT_E_PARSE && strip_diag.line > 0 &&
			   strip_diag.message[0] && fault.kind == WEFT_FAULT_BOOLEAN && parsed);
	} else {
		FUZZ_CHECK(once.len && once.p[once.len - 1] == '\n');
		FUZZ_CHECK(!weft_quick_strip(once.p, once.len - 1, &twice, NULL, NULL));
		FUZZ_CHECK(once.len == twice.len && !memcmp(once.p, twice.p, once.len));
	}
	if (!parsed) {
		check_parsed(&q);
		check_same_device(&q, &once);
		check_written(&q);
	}
	weft_text_clear(&once);
	weft_text_clear(&twice);
	weft_quick_clear(&q);
	return 0;
}
