/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The check of the check: with an argument this program leaks a secret, in one of the ways that
 * memcheck must report; without one it does not.
 */
#include "ct.h"

#include <string.h>

static uint8_t table[256];
static volatile int sink;

int main(int argc, char **argv)
{
	uint8_t key[WEFT_KEY_LEN], guess[WEFT_KEY_LEN] = {1};

	ct_begin();
	memset(key, 0x42, sizeof(key));
	memset(table, 0x24, sizeof(table));
	ct_secret(key, sizeof(key));
	if (argc < 2)
		sink = weft_ct_equal(key, guess, sizeof(key));
	else if (!strcmp(argv[1], "memcmp"))
		sink = memcmp(key, guess, sizeof(key)) == 0 ? 1 : 2;
	else if (!strcmp(argv[1], "branch"))
		sink = key[3] & 1 ? sink + 7 : 2;
	else if (!strcmp(argv[1], "index"))
		sink = table[key[5]];
	if (argc > 1 && sink == 3)
		puts("3");
	return 0;
}
