#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Proves that the protocol core is sans-IO: what its archive leaves undefined may only be weft's
# own functions and a few pure ones of the C library. No system call, clock, random source,
# allocation, lock or output can hide behind a name that is not on the list.
# usage: check-core-symbols.sh BUILD_DIR
set -eu

[ $# -eq 1 ] || {
	echo "usage: $0 BUILD_DIR" >&2
	exit 2
}
archive=$1/src/core/libweft-core.a
[ -f "$archive" ] || {
	echo "$0: no archive $archive: build first" >&2
	exit 2
}

allowed='^(weft_[a-z0-9_]+|mem(cpy|move|set|cmp)|__mem(cpy|move|set)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$'
# What sanitizers and coverage put in is not the core's doing.
instruments='^(__(asan|ubsan|tsan|msan|sanitizer|sancov|gcov|llvm)_.*|__asan.*)$'

undefined=$(nm --undefined-only --format=posix "$archive" | awk 'NF >= 2 && $2 == "U" {print $1}' |
	sort -u)
[ -n "$undefined" ] || {
	echo "$0: nm found nothing in $archive" >&2
	exit 1
}
bad=$(printf '%s\n' "$undefined" | grep -Ev "$allowed" | grep -Ev "$instruments" || true)

# weft_random is weft's own, but it is a random source: randomness comes through a callback.
bad="$bad$(printf '%s\n' "$undefined" | grep -x weft_random || true)"
if [ -n "$bad" ]; then
	echo "src/core may not use:" >&2
	printf '%s\n' "$bad" | sed 's/^/  /' >&2
	exit 1
fi
echo "src/core: $(printf '%s\n' "$undefined" | wc -l) undefined symbols, all allowed"
