#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# cplusplus.sh - zcreq.hpp does what it says, in C++17 and in C++20
#
# It has at most 200 lines, and tests/cplusplus/objects.cc is compiled with all warnings as
# errors and run; so is the example.
#
# Run by make check from the build tree. Uses: srcdir CC CXX SANITIZE_CFLAGS
. "${srcdir:-.}/tests/verdict.sh"
CC=${CC:-cc} CXX=${CXX:-c++}
command -v "${CXX%% *}" >/dev/null || { echo "no C++ compiler here"; exit 77; }
[ -f .libs/libzcreq.so ] || { echo "no shared library here"; exit 77; }

lines=$(wc -l <"$srcdir/include/zcreq/zcreq.hpp")
[ "$lines" -le 200 ] || fail "zcreq.hpp has $lines lines"

# built STANDARD PROGRAM FILE...: with all warnings as errors, against the shared library
built() {
	standard=$1 program=$2
	shift 2
	# shellcheck disable=SC2086  # lists of words
	$CXX -std="$standard" -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -g ${SANITIZE_CFLAGS:-} \
		-I"$srcdir/include" -Iinclude -o "$tmp/$program" "$@" .libs/libzcreq.so ||
		{ fail "$program does not compile as $standard"; return 1; }
}

# shellcheck disable=SC2086  # lists of words
$CC -g ${SANITIZE_CFLAGS:-} -I"$srcdir/include" -Iinclude -c -o "$tmp/scaffold.o" \
	"$srcdir/examples/scaffold.c" || exit 1
for standard in c++17 c++20; do
	if built "$standard" objects "$srcdir/tests/cplusplus/objects.cc"; then
		LD_LIBRARY_PATH=.libs "$tmp/objects" || fail "objects, as $standard"
	fi
	if built "$standard" hello "$srcdir/examples/hello.cc" "$tmp/scaffold.o"; then
		LD_LIBRARY_PATH=.libs "$tmp/hello" >"$tmp/said" || fail "hello, as $standard"
		grep -q '^released, status 0' "$tmp/said" || fail "hello said: $(cat "$tmp/said")"
	fi
done
exit $failed
