#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Static checks over the tree: licence lines, format, shell scripts, man pages, Python, cppcheck,
# clang-tidy. Prints what is wrong; ends with 1 if anything was.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
fail() { printf '%s\n' "$*"; bad=1; }

mapfile -t files < <(git ls-files)
mapfile -t c < <(git ls-files '*.c' '*.h')
mapfile -t src < <(git ls-files 'src/*.c')

# Data, licence texts and fuzz inputs carry no line of their own.
for f in "${files[@]}"; do
	case "$f" in
	LICENSE | packaging/debian/copyright | packaging/debian/source/format | tests/fuzz/corpus/* | tests/vectors/data/* | tests/*/data/*) continue ;;
	esac
	head -n 5 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
		fail "$f: no SPDX line among the first five"
done

clang-format --dry-run --Werror "${c[@]}" 2>&1 | grep -E 'error|warning' | head -n 20
[ "${PIPESTATUS[0]}" -eq 0 ] || fail "clang-format: the files above are not formatted (make format)"

mapfile -t sh < <(git ls-files '*.sh' .ci/run)
shellcheck "${sh[@]}" || fail "shellcheck: see above"

mapfile -t man < <(git ls-files 'docs/man/*.[58]')
[ ${#man[@]} -eq 0 ] || mandoc -Tlint -W warning "${man[@]}" || fail "mandoc: see above"

mapfile -t py < <(git ls-files '*.py')
for f in "${py[@]}"; do
	/usr/bin/python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" ||
		fail "$f: does not parse"
done

cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	--suppress=missingIncludeSystem --suppress=varFuncNullUB --error-exitcode=1 -j 2 -I src -D_GNU_SOURCE \
	-DWEFT_VERSION='"0"' src || fail "cppcheck: see above"

if [ -f build/check/compile_commands.json ] ||
	meson setup build/check --buildtype=release -Ddebug=true >/dev/null; then
	ninja -C build/check --quiet src/cli/completion_text.h >/dev/null || fail "a header is not made"
	printf '%s\n' "${src[@]}" | xargs -P 2 -n 4 clang-tidy -p build/check --quiet 2>/dev/null |
		tee build/check/clang-tidy.log | grep -E '(warning|error):' | sort -u
	! grep -qE '(warning|error):' build/check/clang-tidy.log || fail "clang-tidy: see above"
else
	fail "meson setup failed: clang-tidy did not run"
fi
exit $bad
