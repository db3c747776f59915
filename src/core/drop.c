/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the reasons to drop. Knows the table alone.
 */
#include "core/drop.h"

const char *weft_drop_name(enum weft_drop reason)
{
	switch (reason) {
#define X(code, name, sentence) \
	case WEFT_DROP_##code:  \
		return name;
		WEFT_DROP_TABLE(X)
#undef X
	case WEFT_DROP_COUNT:
		break;
	}
	return "unknown";
}
