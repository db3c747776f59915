#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with clang and its sanitizers, and runs each for some seconds.
#   scripts/fuzz.sh [SECONDS] [TARGET...]      (default: 10 seconds, every target)
# Each target starts from its committed corpus and keeps what it finds in build/fuzz/corpus; inputs
# that crash it are kept in build/fuzz/crashes. Non-zero if there is one.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-10}
[ $# -gt 0 ] && shift
case $seconds in
'' | *[!0-9]*) echo "usage: $0 [SECONDS] [TARGET...]" >&2; exit 2 ;;
esac
export CC="${FUZZ_CC:-clang}"
build=build/fuzz
[ -f $build/build.ninja ] || meson setup $build -Dfuzz=true -Db_sanitize=address,undefined \
	-Db_lundef=false -Dbuildtype=debugoptimized >/dev/null
ninja -C $build ${NINJA_JOBS:+-j "$NINJA_JOBS"} fuzzers >$build/build.log || {
	cat $build/build.log >&2
	exit 1
}
mkdir -p $build/crashes $build/logs
if [ $# -gt 0 ]; then
	targets=$*
else
	targets=
	for source in tests/fuzz/fuzz_*.c; do
		name=${source#tests/fuzz/fuzz_}
		name=${name%.c}
		if [ -x "$build/tests/fuzz/fuzz_$name" ]; then targets="$targets $name"; fi
	done
fi

# One target; always ends with one line.
cat >$build/run_one.sh <<'RUN'
name=$1 seconds=$2 build=$3
mkdir -p "$build/corpus/$name"
log=$build/logs/$name.log
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1
if "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
	-artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "tests/fuzz/corpus/$name" \
	>"$log" 2>&1; then
	echo "fuzz $name: ok, $(sed -n 's/^#\([0-9]*\).*DONE *\(cov: [0-9]*\).*corp: \([0-9]*\).*/\1 runs, \2, \3 inputs/p' "$log")"
else
	echo "fuzz $name: FAILED, $(sed -n 's/.*Test unit written to \(.*\)/\1/p' "$log" | head -1), see $log"
	exit 1
fi
RUN
# shellcheck disable=SC2086
printf '%s\n' $targets | xargs -P 2 -I{} sh $build/run_one.sh {} "$seconds" $build
