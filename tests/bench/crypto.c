/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ChaCha20-Poly1305 costs a packet, for each library and length, as weft calls it: batches of
 * one key, in place. Libraries take turns, several times round, and the best round counts: clocks
 * drift, and disturbance only ever adds. Prints JSON: nanoseconds a packet.
 *
 * usage: crypto-bench [--batch N] [--cold] [--rounds N]
 * --batch: packets a call, 64 if not given; a super-packet of full-size ones has 45.
 * --cold: every packet out of a memory of 32 MiB, as where packets come from the network.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/internal.h"

#define BATCH_MAX  64
#define STRIDE     2048
#define COLD_PKTS  16384
#define HOT_REPEAT 30

static const size_t sizes[] = {0, 16, 64, 128, 256, 512, 1024, 1424};

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static const struct weft_aead_backend *const backends[] = {
	&weft_aead_openssl,
#ifdef WEFT_WITH_IPSEC_MB
	&weft_aead_ipsec_mb,
#endif
#ifdef WEFT_WITH_AVX512_AEAD
	&weft_aead_avx512,
#endif
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

static struct weft_crypto *contexts[BACKENDS]; /* NULL: not for this processor */
static double best[BACKENDS][SIZES][2];        /* seal, open */
static struct weft_secret key;
static uint8_t *memory;
static size_t batch = BATCH_MAX, packets;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* All packets once. Returns how many went well. */
static size_t pass(struct weft_crypto *c, size_t len, bool seal)
{
	struct weft_aead_msg msgs[BATCH_MAX];
	size_t good = 0;

	for (size_t i = 0; i < packets; i += batch) {
		for (size_t k = 0; k < batch; k++) {
			uint8_t *p = memory + (i + k) * STRIDE + 16;

			msgs[k] = (struct weft_aead_msg){
				.counter = i + k,
				.in = p,
				.out = p,
				.len = seal ? len : len + WEFT_TAG_LEN,
			};
		}
		good += seal ? weft_aead_seal_many(c, &key, msgs, batch)
			     : weft_aead_open_many(c, &key, msgs, batch);
	}
	return good;
}

static void measure(size_t b, size_t s, bool cold)
{
	unsigned repeat = cold ? 1 : HOT_REPEAT;
	double spent[2] = {0, 0}, t;

	for (unsigned i = 0; i < repeat; i++) {
		for (int open = 0; open < 2; open++) {
			t = now_ns();
			if (pass(contexts[b], sizes[s], !open) != packets) {
				fprintf(stderr, "crypto-bench: %s fails\n", backends[b]->name);
				exit(1);
			}
			spent[open] += now_ns() - t;
		}
	}
	for (int open = 0; open < 2; open++) {
		double ns = spent[open] / repeat / (double)packets;

		if (best[b][s][open] <= 0 || ns < best[b][s][open])
			best[b][s][open] = ns;
	}
}

static void print(bool cold, unsigned rounds)
{
	static const char *const names[] = {"seal", "open"};
	const char *between = "";

	printf("{\"unit\": \"ns per packet\", \"memory\": \"%s\", \"batch\": %zu, \"rounds\": %u, "
	       "\"auto\": \"%s\",\n"
	       " \"backends\": {",
	       cold ? "cold" : "hot", batch, rounds, weft_crypto_aead());
	for (size_t b = 0; b < BACKENDS; b++) {
		if (!contexts[b])
			continue;
		printf("%s\n  \"%s\": {", between, backends[b]->name);
		for (int open = 0; open < 2; open++) {
			printf("%s\"%s\": {", open ? ",\n   " : "", names[open]);
			for (size_t s = 0; s < SIZES; s++)
				printf("%s\"%zu\": %.0f", s ? ", " : "", sizes[s],
				       best[b][s][open]);
			printf("}");
		}
		printf("}");
		between = ",";
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	unsigned rounds = 5;
	bool cold = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--cold") == 0) {
			cold = true;
		} else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
			rounds = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc) {
			batch = strtoul(argv[++i], NULL, 10);
		} else {
			batch = 0;
		}
	}
	if (batch < 1 || batch > BATCH_MAX) {
		fprintf(stderr, "usage: crypto-bench [--batch N] [--cold] [--rounds N]\n");
		return 2;
	}
	packets = cold ? COLD_PKTS / batch * batch : batch;
	memory = malloc(packets * STRIDE);
	if (!memory || weft_crypto_init() || weft_random(key.b, sizeof(key.b)))
		return 1;
	memset(memory, 1, packets * STRIDE);
	for (size_t b = 0; b < BACKENDS; b++) {
		if (weft_crypto_new_with(backends[b], &contexts[b]))
			contexts[b] = NULL;
	}
	for (unsigned r = 0; r < rounds; r++) {
		for (size_t s = 0; s < SIZES; s++) {
			for (size_t b = 0; b < BACKENDS; b++) {
				if (contexts[b])
					measure(b, s, cold);
			}
		}
	}
	print(cold, rounds);
	for (size_t b = 0; b < BACKENDS; b++)
		weft_crypto_free(contexts[b]);
	free(memory);
	return 0;
}
