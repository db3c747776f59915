/* SPDX-License-Identifier: Apache-2.0 */
/* keep.json: refused with a sentence, or a list of peers that each have lines that are something.
 */
#include <string.h>

#include "fuzz.h"
#include "host/keepfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct weft_keep k = {0};
	struct weft_diag diag = {0};
	int rc = weft_keep_parse((const char *)data, size, &k, &diag);

	FUZZ_CHECK(!rc || rc == WEFT_E_LIMIT || (rc == WEFT_E_PARSE && diag.message[0]));
	for (size_t i = 0; !rc && i < k.n_peers; i++) {
		const struct weft_cand_peer *p = &k.peers[i];

		FUZZ_CHECK(p->n_lines && p->n_lines <= WEFT_CAND_MAX_LINES);
		for (size_t j = 0; j < p->n_lines; j++) {
			const struct weft_cand_line *l = &p->lines[j];

			FUZZ_CHECK(l->text[0]);
			FUZZ_CHECK((l->kind == WEFT_CAND_ADDRESS) == (l->answer.n == 1));
		}
	}
	FUZZ_CHECK(memchr(k.source, '\0', sizeof(k.source)));
	weft_keep_clear(&k);
	return 0;
}
