#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# static.sh - a program that is linked with libzcreq.a has only what it calls for
#
# examples/hello, linked as a user would who has installed the archive, contains nothing
# that is there for looking: no explain, no log of events, no page, no guard. It needs no dynamic
# linker to ask (dladdr), and the rooms that every program links have no variable but the
# semaphore of the probes. Prints how large hello's part is, and what only looks.
#
# Run by make check from the build tree. Uses: srcdir CC SANITIZE_CFLAGS
. "${srcdir:-.}/tests/verdict.sh"
CC=${CC:-cc}
archive=.libs/libzcreq.a
[ -f $archive ] || { echo "no static library here"; exit 77; }
for tool in nm size; do
	command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
done

# Names that hello must not have, and the files of the archive that only look.
forbidden='^zcreq_(context|conn|request)_explain$ ^zcreq_trace_(start|stop|dump)$ ^zcreq_page_(keep|map|stop)$ ^zcreq_guard'
looking='^(libexplain_la-|libcore_la-log\.o)'

cflags=$(sed -n 's/^CFLAGS = //p' Makefile)
# shellcheck disable=SC2086  # lists of words
$CC $cflags ${SANITIZE_CFLAGS:-} -I"$srcdir/include" -Iinclude -o "$tmp/hello" \
	"$srcdir/examples/hello.c" "$srcdir/examples/scaffold.c" $archive || exit 1

nm --defined-only "$tmp/hello" | awk '{ print $NF }' | sort -u >"$tmp/hello.names"
grep -qx zcreq_stream_open "$tmp/hello.names" || fail "hello is not linked with the archive"

# "member name" for each global name of the archive, then the members that hello has; what a
# compiler for i386 adds to each member is no name of anybody's
nm -A -g --defined-only $archive |
	awk -F: '$3 !~ /__x86\.get_pc_thunk/ { n = split($3, word, " "); print $2, word[n] }' \
	>"$tmp/archive.names"
awk 'NR == FNR { in_hello[$1] = 1; next } $2 in in_hello { print $1 }' \
	"$tmp/hello.names" "$tmp/archive.names" | sort -u >"$tmp/hello.members"

grep -E "$looking" "$tmp/hello.members" >"$tmp/found"
for name in $forbidden; do
	grep -E "$name" "$tmp/hello.names" >>"$tmp/found"
done
[ -s "$tmp/found" ] && fail "hello has:" && cat "$tmp/found"
awk '{ print $2 }' "$tmp/archive.names" | grep -qE "${forbidden%% *}" ||
	fail "$archive has none of these names: this test looks for the wrong ones"

# who asks the dynamic linker
nm -A -u $archive | awk -F: '$3 ~ / dladdr1?$/ { print $2 }' >"$tmp/askers"
[ "$(cat "$tmp/askers")" = libexplain_la-facts.o ] || fail "dladdr is called by: $(cat "$tmp/askers")"

# what sanitizers add is not the library's
[ -z "${SANITIZE_CFLAGS:-}" ] || exit $failed
size -A $archive | awk '
	/\(ex / { member = $1 }
	member ~ /^lib(base|core|stream)_la-/ && /^\.(data|bss|tdata|tbss)(\.[^r]|[ \t])/ && $2 > 0 {
		print member, $1, $2
	}' >"$tmp/variables"
[ -s "$tmp/variables" ] && fail "variables: $(cat "$tmp/variables")"

size $archive | awk -v only_look="$looking" '
	NR == FNR { in_hello[$1] = 1; next }
	$1 ~ /^[0-9]+$/ {
		all += $1
		if ($6 in in_hello) hello += $1
		if ($6 ~ only_look) looks += $1
	}
	END { printf "static=hello text_bytes=%d of_library=%d only_looks=%d percent=%.0f\n",
		hello, all, looks, 100 * looks / all }' "$tmp/hello.members" -
exit $failed
