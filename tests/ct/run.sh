#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh clean|leak PROGRAM [ARGUMENT...]: runs it under memcheck, and says whether a branch or an
# address depended on a secret. "leak" is for the check of the check: it must be reported.
here=$(cd "$(dirname "$0")" && pwd)
want=$1
shift
valgrind --quiet --error-exitcode=99 --leak-check=no --suppressions="$here/libraries.supp" "$@"
code=$?
case $want:$code in
clean:0) exit 0 ;;
leak:99) exit 0 ;;
clean:99) echo "$1: something depends on a secret" >&2; exit 1 ;;
leak:0) echo "$1: a deliberate leak went unnoticed" >&2; exit 1 ;;
*) echo "$1: ended with $code" >&2; exit 1 ;;
esac
