/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for keys: zeroed both ways, aligned, not shared, not dumped, not inherited, reused; and
 * OpenSSL living in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "linux/privilege.h"
#include "util/secret.h"

/* Below, at and above the borders of size classes, and past the largest. */
static const size_t sizes[] = {1,     32,    63,    64,    65,    511,    512,    513,
			       640,   641,   1000,  1024,  1025,  4096,   5000,   32768,
			       40961, 65535, 65536, 65537, 81920, 100000, 1 << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void zeroed_and_aligned(void **state)
{
	uint8_t *p[SIZES][3];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SIZES; i++) {
			for (size_t k = 0; k < 3; k++) {
				p[i][k] = weft_secmem_alloc(sizes[i]);
				assert_non_null(p[i][k]);
				assert_int_equal((uintptr_t)p[i][k] % 64, 0);
				assert_true(weft_ct_is_zero(p[i][k], sizes[i]));
				memset(p[i][k], (int)(i * 3 + k + 1), sizes[i]);
			}
		}
		for (size_t i = 0; i < SIZES; i++) {
			for (size_t k = 0; k < 3; k++) {
				for (size_t b = 0; b < sizes[i]; b++)
					assert_int_equal(p[i][k][b], i * 3 + k + 1);
				weft_secmem_free(p[i][k], sizes[i]);
			}
		}
	}
	assert_null(weft_secmem_alloc(0));
	assert_null(weft_secmem_alloc(SIZE_MAX));
	assert_null(weft_secmem_alloc(SIZE_MAX - 100));
	weft_secmem_free(NULL, 10);
}

/* Every size gives an object that does not reach into its neighbour. */
static void every_size(void **state)
{
	(void)state;
	for (size_t size = 1; size <= 70000; size += size < 3000 ? 7 : 611) {
		uint8_t *a = weft_secmem_alloc(size), *b = weft_secmem_alloc(size);

		assert_non_null(a);
		assert_non_null(b);
		assert_true(a + size <= b || b + size <= a);
		a[size - 1] = 1;
		b[0] = 2;
		b[size - 1] = 3;
		assert_int_equal(a[size - 1], 1);
		weft_secmem_free(a, size);
		weft_secmem_free(b, size);
	}
}

/* What is free keeps nothing: the last object freed is the next one given, and holds zeros. */
static void wiped_when_freed(void **state)
{
	volatile uint8_t *p, *q;

	(void)state;
	p = weft_secmem_alloc(200);
	assert_non_null(p);
	for (size_t i = 0; i < 200; i++)
		p[i] = 0xee;
	weft_secmem_free((void *)(uintptr_t)p, 200);
	q = weft_secmem_alloc(200);
	assert_ptr_equal(p, q);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(q[i], 0);
	weft_secmem_free((void *)(uintptr_t)q, 200);
}

static size_t mapped_kib(void)
{
	size_t kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "VmSize:", 7))
			kib = strtoul(line + 7, NULL, 10);
	}
	assert_int_equal(fclose(f), 0);
	return kib;
}

/* Many objects, given back and taken again: the second round takes nothing from the system. */
static void reuse(void **state)
{
	enum { N = 20000 };
	static void *p[N];
	size_t before = 0;

	(void)state;
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < N; i++) {
			p[i] = weft_secmem_alloc(100 + i % 400);
			assert_non_null(p[i]);
		}
		for (size_t i = 0; i < N; i++)
			weft_secmem_free(p[i], 100 + i % 400);
		if (round == 0)
			before = mapped_kib();
	}
	assert_true(mapped_kib() <= before + 64);
}

/* The flags of the mapping that holds `p`, from smaps: "dd" do not dump, "wf" wipe on fork. */
static void mapping_flags(const void *p, char *flags, size_t len)
{
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");
	int inside = 0;

	assert_non_null(f);
	flags[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (inside && !strncmp(line, "VmFlags:", 8))
			(void)snprintf(flags, len, "%s", line + 8);
	}
	assert_int_equal(fclose(f), 0);
}

static void mapping(void **state)
{
	static const size_t each[] = {48, 100000};
	char flags[512];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t *p = weft_secmem_alloc(each[i]);

		assert_non_null(p);
		p[0] = 1;
		mapping_flags(p, flags, sizeof(flags));
		assert_non_null(strstr(flags, " dd"));
		assert_non_null(strstr(flags, " wf"));
		if (!weft_secmem_unlocked_bytes())
			assert_non_null(strstr(flags, " lo"));
		weft_secmem_free(p, each[i]);
	}
}

static void not_inherited(void **state)
{
	uint8_t *p = weft_secmem_alloc(64), *big = weft_secmem_alloc(100000);
	int status;
	pid_t pid;

	(void)state;
	assert_non_null(p);
	assert_non_null(big);
	memset(p, 0x5a, 64);
	memset(big, 0x5a, 100000);
	pid = fork();
	if (!pid)
		_exit(weft_ct_is_zero(p, 64) && weft_ct_is_zero(big, 100000) ? 0 : 1);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(p[63], 0x5a);
	weft_secmem_free(p, 64);
	weft_secmem_free(big, 100000);
}

/* Past the lock limit memory is still given, and counted until it is freed. */
static void over_the_limit(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct rlimit none = {0, 0};
		size_t before = weft_secmem_unlocked_bytes();
		void *p;

		if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
			_exit(2);
		p = weft_secmem_alloc(200000);
		if (!p || weft_secmem_unlocked_bytes() < before + 200000)
			_exit(3);
		weft_secmem_free(p, 200000);
		_exit(weft_secmem_unlocked_bytes() == before ? 0 : 4);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void *churn(void *arg)
{
	uintptr_t seed = (uintptr_t)arg, failed = 0;
	uint8_t *held[64] = {NULL};

	for (unsigned i = 0; i < 20000; i++) {
		size_t slot, size;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		slot = seed >> 58;
		size = 64 + slot * 50;
		if (held[slot]) {
			failed |= held[slot][0] != (uint8_t)slot;
			failed |= held[slot][size - 1] != (uint8_t)slot;
			weft_secmem_free(held[slot], size);
			held[slot] = NULL;
		} else {
			held[slot] = weft_secmem_alloc(size);
			failed |= !held[slot] || !weft_ct_is_zero(held[slot], size);
			if (held[slot])
				memset(held[slot], (int)slot, size);
		}
	}
	for (size_t slot = 0; slot < 64; slot++)
		weft_secmem_free(held[slot], 64 + slot * 50);
	return (void *)failed;
}

static void threads(void **state)
{
	pthread_t t[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i + 1)), 0);
	for (size_t i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
}

static void openssl_lives_here(void **state)
{
	char *p, flags[512];
	uint8_t digest[32];
	unsigned len = 0;
	EVP_MD_CTX *ctx;

	(void)state;
	p = OPENSSL_malloc(20);
	assert_non_null(p);
	mapping_flags(p, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	assert_null(strstr(flags, " wf"));
	memset(p, 'x', 20);
	p = OPENSSL_realloc(p, 3000);
	assert_non_null(p);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(p[i], 'x');
	assert_true(weft_ct_is_zero(p + 20, 2980));
	p = OPENSSL_realloc(p, 10);
	assert_non_null(p);
	assert_int_equal(p[9], 'x');
	assert_int_equal((uintptr_t)p % 16, 0);
	OPENSSL_free(p);
	assert_null(OPENSSL_malloc(SIZE_MAX - 4));

	ctx = EVP_MD_CTX_new();
	assert_non_null(ctx);
	assert_int_equal(EVP_Digest("abc", 3, digest, &len, EVP_blake2s256(), NULL), 1);
	assert_int_equal(digest[0], 0x50);
	EVP_MD_CTX_free(ctx);
}

static int adopt(void **state)
{
	(void)state;
	return weft_secmem_adopt_openssl();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_and_aligned),
		cmocka_unit_test(every_size),
		cmocka_unit_test(wiped_when_freed),
		cmocka_unit_test(reuse),
		cmocka_unit_test(mapping),
		cmocka_unit_test(not_inherited),
		cmocka_unit_test(over_the_limit),
		cmocka_unit_test(threads),
		cmocka_unit_test(openssl_lives_here),
	};

	return cmocka_run_group_tests_name("linux-secmem", tests, adopt, NULL);
}
