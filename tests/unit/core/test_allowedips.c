/* SPDX-License-Identifier: Apache-2.0 */
/* Allowed IPs: the usual cases, a linear reference, no memory, and readers beside the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "core/allowedips.h"
#include "unit_mem.h"
#include "unit_random.h"

static struct weft_epoch epoch;
static struct unit_mem um;
static struct weft_allowedips t;

static void begin(void)
{
	struct weft_mem mem;

	memset(&um, 0, sizeof(um));
	mem = unit_mem_of(&um);
	weft_epoch_init(&epoch, 2, NULL);
	weft_allowedips_init(&t, &mem, &epoch);
}

static void end(void)
{
	weft_allowedips_fini(&t);
	weft_epoch_fini(&epoch);
	assert_int_equal(um.bytes, 0);
}

static struct weft_prefix prefix(const char *text)
{
	struct weft_prefix p;

	assert_int_equal(weft_prefix_parse(text, strlen(text), &p), 0);
	return p;
}

static void add(struct weft_allowed_set *set, const char *text)
{
	struct weft_prefix p = prefix(text);

	assert_int_equal(weft_allowedips_insert(&t, &p, set), 0);
}

static struct weft_allowed_set *find(const char *text)
{
	struct weft_prefix p = prefix(text);

	return weft_allowedips_lookup(&t, &p.ip);
}

struct listing {
	char text[1000];
};

static void list(void *arg, const struct weft_prefix *p)
{
	struct listing *l = arg;
	char one[WEFT_PREFIX_TEXT_LEN];

	strcat(l->text, weft_prefix_format(p, one));
	strcat(l->text, " ");
}

static void assert_list(struct weft_allowed_set *set, const char *want)
{
	struct listing l = {""};

	weft_allowedips_each(set, list, &l);
	assert_string_equal(l.text, want);
}

static void test_longest_match(void **state)
{
	struct weft_allowed_set a = {0}, b = {0}, c = {0}, d = {0};
	struct weft_ip none = {.family = WEFT_NONE};

	(void)state;
	begin();
	assert_null(find("10.0.0.1"));
	add(&a, "0.0.0.0/0");
	add(&b, "10.0.0.0/8");
	add(&c, "10.1.2.0/24");
	add(&d, "10.1.2.3/32");
	assert_ptr_equal(find("192.0.2.1"), &a);
	assert_ptr_equal(find("10.200.0.1"), &b);
	assert_ptr_equal(find("10.1.3.0"), &b);
	assert_ptr_equal(find("10.1.2.255"), &c);
	assert_ptr_equal(find("10.1.2.3"), &d);
	assert_null(find("::1"));
	assert_null(weft_allowedips_lookup(&t, &none));
	add(&b, "::/0");
	add(&c, "2001:db8::/32");
	add(&d, "2001:db8::1/128");
	add(&a, "2001:db8:0:1::/64");
	assert_ptr_equal(find("2001:db9::"), &b);
	assert_ptr_equal(find("2001:db8:1::"), &c);
	assert_ptr_equal(find("2001:db8::1"), &d);
	assert_ptr_equal(find("2001:db8::2"), &c);
	assert_ptr_equal(find("2001:db8:0:1:ffff::"), &a);
	assert_ptr_equal(find("10.1.2.3"), &d);
	end();
}

static void test_move_and_remove(void **state)
{
	struct weft_allowed_set a = {0}, b = {0};
	struct weft_prefix p = prefix("10.0.0.0/8"), q = prefix("10.0.0.0/9");
	struct weft_prefix bad = {.ip = {.family = WEFT_IPV4}, .len = 33};

	(void)state;
	begin();
	add(&a, "10.9.9.9/8"); /* host bits do not count */
	add(&a, "10.64.0.0/10");
	add(&a, "10.0.0.0/8");
	assert_int_equal(a.count, 2);
	assert_int_equal(t.count, 2);
	add(&b, "10.0.0.0/8");
	assert_int_equal(a.count, 1);
	assert_int_equal(b.count, 1);
	assert_int_equal(t.count, 2);
	assert_ptr_equal(find("10.0.0.1"), &b);
	assert_ptr_equal(find("10.65.0.1"), &a);
	assert_int_equal(weft_allowedips_remove(&t, &p, &a), -ENOENT);
	assert_int_equal(weft_allowedips_remove(&t, &q, &b), -ENOENT);
	assert_int_equal(weft_allowedips_remove(&t, &p, &b), 0);
	assert_int_equal(weft_allowedips_remove(&t, &p, &b), -ENOENT);
	assert_null(find("10.0.0.1"));
	assert_ptr_equal(find("10.65.0.1"), &a);
	weft_allowedips_clear(&t, &a);
	weft_allowedips_clear(&t, &a);
	assert_int_equal(t.count, 0);
	assert_null(find("10.65.0.1"));
	assert_int_equal(weft_allowedips_insert(&t, &bad, &a), -EINVAL);
	bad.ip.family = WEFT_NONE;
	assert_int_equal(weft_allowedips_insert(&t, &bad, &a), -EINVAL);
	end();
}

static void test_order(void **state)
{
	struct weft_allowed_set a = {0}, b = {0};

	(void)state;
	begin();
	assert_list(&a, "");
	add(&a, "fd00::/8");
	add(&a, "192.0.2.0/24");
	add(&a, "::/0");
	add(&a, "10.0.0.0/16");
	add(&a, "10.0.0.0/8");
	add(&a, "9.0.0.0/8");
	add(&a, "10.0.0.0/32");
	add(&b, "1.2.3.4");
	assert_list(&a, "9.0.0.0/8 10.0.0.0/8 10.0.0.0/16 10.0.0.0/32 192.0.2.0/24 ::/0 fd00::/8 ");
	add(&b, "10.0.0.0/16");
	add(&a, "0.0.0.0/0");
	assert_list(&a, "0.0.0.0/0 9.0.0.0/8 10.0.0.0/8 10.0.0.0/32 192.0.2.0/24 ::/0 fd00::/8 ");
	assert_list(&b, "1.2.3.4/32 10.0.0.0/16 ");
	weft_allowedips_clear(&t, &a);
	assert_list(&a, "");
	end();
}

#define SETS 8
#define REFS 400

struct reference {
	struct weft_prefix p;
	int set; /* -1: unused */
};
static struct reference refs[REFS];
static struct weft_allowed_set sets[SETS];

static struct weft_prefix random_prefix(uint64_t *seed)
{
	struct weft_prefix p = {.ip.family = unit_random(seed) % 2 ? WEFT_IPV4 : WEFT_IPV6};
	unsigned bits = weft_family_bits(p.ip.family);

	/* few values per byte, and many lengths, so that prefixes nest and collide */
	for (unsigned i = 0; i < bits / 8; i++)
		p.ip.b[i] = (uint8_t)(unit_random(seed) % 4 ? 0 : unit_random(seed) % 3 << 6);
	p.len = (uint8_t)(unit_random(seed) % (bits + 1));
	if (p.ip.family == WEFT_IPV6 && unit_random(seed) % 2)
		p.len = (uint8_t)(unit_random(seed) % 24);
	return p;
}

static struct weft_allowed_set *reference_lookup(const struct weft_ip *ip)
{
	int best = -1;

	for (int i = 0; i < REFS; i++)
		if (refs[i].set >= 0 && weft_prefix_contains(&refs[i].p, ip) &&
		    (best < 0 || refs[i].p.len > refs[best].p.len))
			best = i;
	return best < 0 ? NULL : &sets[refs[best].set];
}

static struct reference *reference_find(const struct weft_prefix *p)
{
	struct reference *unused = NULL;

	for (int i = 0; i < REFS; i++) {
		if (refs[i].set < 0)
			unused = unused ? unused : &refs[i];
		else if (refs[i].p.len == p->len && weft_ip_equal(&refs[i].p.ip, &p->ip))
			return &refs[i];
	}
	return unused;
}

static void count_one(void *arg, const struct weft_prefix *p)
{
	(void)p;
	++*(size_t *)arg;
}

static void check_sets(void)
{
	size_t total = 0;

	for (int s = 0; s < SETS; s++) {
		size_t want = 0, got = 0;

		for (int i = 0; i < REFS; i++)
			want += refs[i].set == s;
		weft_allowedips_each(&sets[s], count_one, &got);
		assert_int_equal(got, want);
		assert_int_equal(sets[s].count, want);
		total += want;
	}
	assert_int_equal(t.count, total);
}

static void one_change(uint64_t *seed)
{
	struct weft_prefix p = random_prefix(seed);
	int set = (int)(unit_random(seed) % SETS);
	struct reference *r;

	if (unit_random(seed) % 4 == 0) { /* more often one that is there */
		r = &refs[unit_random(seed) % REFS];
		if (r->set >= 0)
			p = r->p;
	}
	weft_prefix_mask(&p);
	r = reference_find(&p);
	if (unit_random(seed) % 8 < 5) {
		if (!r)
			return;
		assert_int_equal(weft_allowedips_insert(&t, &p, &sets[set]), 0);
		r->p = p;
		r->set = set;
	} else if (unit_random(seed) % 64 == 0) {
		weft_allowedips_clear(&t, &sets[set]);
		for (int i = 0; i < REFS; i++)
			if (refs[i].set == set)
				refs[i].set = -1;
	} else {
		bool there = r && r->set == set;

		assert_int_equal(weft_allowedips_remove(&t, &p, &sets[set]), there ? 0 : -ENOENT);
		if (there)
			r->set = -1;
	}
}

static void test_random(void **state)
{
	uint64_t seed = unit_seed();

	(void)state;
	begin();
	memset(sets, 0, sizeof(sets));
	for (int i = 0; i < REFS; i++)
		refs[i].set = -1;
	for (int i = 0; i < 20000; i++) {
		one_change(&seed);
		for (int j = 0; j < 4; j++) {
			struct weft_prefix p = random_prefix(&seed);

			assert_ptr_equal(weft_allowedips_lookup(&t, &p.ip),
					 reference_lookup(&p.ip));
		}
		if (i % 500 == 0)
			check_sets();
	}
	check_sets();
	for (int s = 0; s < SETS; s++)
		weft_allowedips_clear(&t, &sets[s]);
	assert_null(atomic_load(&t.root[0]));
	assert_null(atomic_load(&t.root[1]));
	assert_true(um.bytes < 200000); /* nodes come back */
	end();
}

static void test_reserve(void **state)
{
	struct weft_allowed_set a = {0};
	struct weft_prefix p = {.ip.family = WEFT_IPV4, .len = 32};
	uint64_t seed = unit_seed();
	int rc = 0;

	(void)state;
	begin();
	assert_int_equal(weft_allowedips_reserve(&t, SIZE_MAX / 2), WEFT_E_LIMIT);
	assert_int_equal(weft_allowedips_reserve(&t, 20000), 0);
	um.fail = 1;
	for (int i = 0; i < 20000; i++) {
		for (int j = 0; j < 4; j++)
			p.ip.b[j] = (uint8_t)unit_random(&seed);
		assert_int_equal(weft_allowedips_insert(&t, &p, &a), 0);
	}
	assert_int_equal(weft_allowedips_reserve(&t, 20000), -ENOMEM);
	for (int i = 0; i < 100000 && rc == 0; i++) {
		for (int j = 0; j < 4; j++)
			p.ip.b[j] = (uint8_t)unit_random(&seed);
		rc = weft_allowedips_insert(&t, &p, &a);
	}
	assert_int_equal(rc, -ENOMEM);
	/* all of it can go, and come again, without memory */
	weft_allowedips_clear(&t, &a);
	assert_int_equal(weft_allowedips_reserve(&t, 20000), 0);
	end();
}

static atomic_bool stop;
static atomic_int wrong;

static void *reader(void *arg)
{
	struct weft_allowed_set *all = arg;
	struct weft_ip ip = {{10, 1, 0, 0}, WEFT_IPV4}, out = {{11, 0, 0, 1}, WEFT_IPV4};
	uint64_t seed = 7;

	while (!atomic_load(&stop)) {
		weft_epoch_enter(&epoch, 1);
		for (int i = 0; i < 100; i++) {
			struct weft_allowed_set *got;

			ip.b[2] = (uint8_t)unit_random(&seed);
			ip.b[3] = (uint8_t)unit_random(&seed);
			got = weft_allowedips_lookup(&t, &ip);
			/* 10.0.0.0/8 stays; what is more special belongs to set 1 */
			if (got != &all[0] && got != &all[1])
				atomic_fetch_add(&wrong, 1);
			if (weft_allowedips_lookup(&t, &out))
				atomic_fetch_add(&wrong, 1);
		}
		weft_epoch_leave(&epoch, 1);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct weft_allowed_set all[2] = {{0}, {0}};
	uint64_t seed = unit_seed();
	pthread_t th;

	(void)state;
	begin();
	add(&all[0], "10.0.0.0/8");
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&th, NULL, reader, all), 0);
	for (int i = 0; i < 60000; i++) {
		struct weft_prefix p = {.ip = {{10, 1}, WEFT_IPV4}};

		p.ip.b[2] = (uint8_t)(unit_random(&seed) % 8);
		p.ip.b[3] = (uint8_t)unit_random(&seed);
		p.len = (uint8_t)(17 + unit_random(&seed) % 16);
		if (unit_random(&seed) % 2)
			assert_int_equal(weft_allowedips_insert(&t, &p, &all[1]), 0);
		else
			weft_allowedips_remove(&t, &p, &all[1]);
		if (i % 4096 == 0)
			weft_allowedips_clear(&t, &all[1]);
	}
	atomic_store(&stop, true);
	pthread_join(th, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_match), cmocka_unit_test(test_move_and_remove),
		cmocka_unit_test(test_order),         cmocka_unit_test(test_random),
		cmocka_unit_test(test_reserve),       cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("core-allowedips", tests, NULL, NULL);
}
