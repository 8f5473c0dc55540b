#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# installcheck.sh - a program is built against the installed library, and works
#
# Run by make installcheck. Uses: srcdir bindir mandir CC CXX PKG_CONFIG SANITIZE_CFLAGS, and
# PKG_CONFIG_PATH, which names the folder of the installed zcreq.pc.
set -eu
srcdir=${srcdir:-.}
CC=${CC:-cc} CXX=${CXX:-c++} PKG_CONFIG=${PKG_CONFIG:-pkg-config}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "installcheck: $*" >&2
	exit 1
}

# described OPTION NAME...: what pkg-config would say of ours, where there is none
described() {
	case $1 in
	--exists) field='' ;;
	--variable=*) field='' value="\$${1#*=}" ;;
	--modversion) field=Version ;;
	--cflags) field=Cflags ;;
	--libs) field=Libs ;;
	esac
	option=$1
	shift
	[ "$1" != --print-errors ] || shift
	for name; do
		pc=$PKG_CONFIG_PATH/$name.pc
		[ -f "$pc" ] || return 1
		[ "$option" != --exists ] || continue
		[ -z "$field" ] || value=$(sed -n "s/^$field: //p" "$pc")
		(eval "$(sed -n 's/^\([a-z_]*\)=\(.*\)/\1="\2"/p' "$pc")"; eval "echo \"$value\"")
		case $field in
		Cflags | Libs)
			for required in $(sed -n 's/^Requires: \([a-z-]*\) .*/\1/p' "$pc"); do
				described "$option" "$required"
			done
			;;
		esac
	done
}
command -v "$PKG_CONFIG" >/dev/null || PKG_CONFIG=described

$PKG_CONFIG --exists --print-errors zcreq
libdir=$($PKG_CONFIG --variable=libdir zcreq)
cflags=$($PKG_CONFIG --cflags zcreq)
libs=$($PKG_CONFIG --libs zcreq)

# hello.c and its scaffold as they are, with warnings as errors, and only what pkg-config says
$CC -std=gnu11 -Wall -Wextra -Werror ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/hello" \
	"$srcdir/examples/hello.c" "$srcdir/examples/scaffold.c" $libs
LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$tmp/hello" >"$tmp/said"
grep -q '^released, status 0' "$tmp/said" || fail "hello said: $(cat "$tmp/said")"

# the manual, with the names that a page has besides its own
for page in man3/zcreq_send.3 man3/zcreq_stream.h.3 man3/zcreq_stream_options.3 man7/zcreq.7; do
	[ -s "$mandir/$page" ] || fail "there is no $mandir/$page"
done

# the same from the archive, if there is one
if [ -f "$libdir/libzcreq.a" ]; then
	$CC -std=gnu11 ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/hello-static" \
		"$srcdir/examples/hello.c" "$srcdir/examples/scaffold.c" "$libdir/libzcreq.a"
	"$tmp/hello-static" >"$tmp/said"
	grep -q '^released, status 0' "$tmp/said" || fail "static hello: $(cat "$tmp/said")"
fi

# example PROGRAM PACKAGES OTHER...: builds as hello does, with OTHER files and libraries
example() {
	program=$1 packages=$2
	shift 2
	# shellcheck disable=SC2046,SC2086  # words
	(cd "$srcdir/examples" && $CC -std=gnu11 -Wall -Wextra -Werror ${SANITIZE_CFLAGS:-} \
		$($PKG_CONFIG --cflags $packages) -o "$tmp/$program" "$program.c" scaffold.c "$@" \
		$($PKG_CONFIG --libs $packages)) || fail "examples/$program.c"
}
example http-epoll zcreq http.c http-parse.c
example rpc-threads zcreq serve.c pool.c -pthread
example fanout zcreq serve.c
example own-sockets zcreq serve.c framework.c
if $PKG_CONFIG --exists zcreq-ev; then
	example http-ev zcreq-ev http.c http-parse.c
fi
if $PKG_CONFIG --exists zcreq-uring; then
	example http-uring "zcreq-uring liburing" http.c http-parse.c
fi

# in C++, if there is a compiler
if command -v "${CXX%% *}" >/dev/null; then
	$CC -std=gnu11 ${SANITIZE_CFLAGS:-} -c -o "$tmp/scaffold.o" $cflags "$srcdir/examples/scaffold.c"
	$CXX -std=c++17 -Wall -Wextra -Werror ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/hello-cc" \
		"$srcdir/examples/hello.cc" "$tmp/scaffold.o" $libs
	LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$tmp/hello-cc" >"$tmp/said"
	grep -q '^released, status 0' "$tmp/said" || fail "hello.cc said: $(cat "$tmp/said")"
fi

# a program that takes a guard, if there is a word for it, and the same from the archives
$PKG_CONFIG --exists --print-errors zcreq-guard
# shellcheck disable=SC2046  # words
$CC -std=gnu11 -Wall -Wextra -Werror ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/attached" \
	"$srcdir/tests/guard/attached.c" $($PKG_CONFIG --libs zcreq-guard)
programs=$tmp/attached
if [ -f "$libdir/libzcreq-guard.a" ]; then
	$CC -std=gnu11 ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/attached-static" \
		"$srcdir/tests/guard/attached.c" "$libdir/libzcreq-guard.a" "$libdir/libzcreq.a"
	programs="$programs $tmp/attached-static"
fi
for program in $programs; do
	ZCREQ_GUARD=continue LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
		"$program" >"$tmp/said" 2>&1 || fail "a guarded program said: $(cat "$tmp/said")"
	grep -q '^zcreq guard: memory in flight was changed' "$tmp/said" ||
		fail "a guarded program found nothing: $(cat "$tmp/said")"
done

# header, library and zcreq.pc are of one version
cat >"$tmp/version.c" <<-END
	#include <stdio.h>
	#include <string.h>
	#include <zcreq/version.h>
	int main(void) { puts(zcreq_version()); return strcmp(zcreq_version(), ZCREQ_VERSION); }
END
$CC ${SANITIZE_CFLAGS:-} $cflags -o "$tmp/version" "$tmp/version.c" $libs
version=$(LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$tmp/version") ||
	fail "library and header are of different versions"
[ "$version" = "$($PKG_CONFIG --modversion zcreq)" ] || fail "zcreq.pc is of another version"

# zcreq-guard finds its object where it was installed, and changes nothing
status=0
"$bindir/zcreq-guard" sh -c 'echo said; exit 5' >"$tmp/said" 2>&1 || status=$?
[ "$status" = 5 ] && [ "$(cat "$tmp/said")" = said ] || fail "zcreq-guard said: $(cat "$tmp/said")"
