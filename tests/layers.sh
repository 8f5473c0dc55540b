#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# layers.sh - an arrow points down: explain -> stream -> memory -> core -> base, and guard -> core
#
# By includes: a file of a room includes its own room's headers and those of the rooms
# below it. By symbols: an object of a room uses no zcreq_ symbol that is defined in a
# room above. And what the rooms below promise: base and core make no system call but
# those that are named here. That nothing is global is claimed of more rooms (claims.sh).
#
# At the end an upward include and an upward call are planted, and have to be found.
#
# Run by make check from the build tree. Uses: srcdir CC
. "${srcdir:-.}/tests/verdict.sh"
top=$(cd "$srcdir" && pwd)

# below ROOM: the rooms that it may know, itself included
below() {
	case $1 in
	base) echo "base" ;;
	core) echo "base core" ;;
	memory) echo "base core memory" ;;
	stream) echo "base core memory stream" ;;
	explain) echo "base core memory stream explain" ;;
	# through core's guarded.h; its tables are compiled in
	guard) echo "base core guard" ;;
	# through public headers, and base
	uring | ev) echo "base $1" ;;
	esac
}

# includes LIB ROOM: every quoted include names a room that it may know
includes() {
	allowed=$(below "$2" | tr ' ' '|')
	grep -HnE '^#include "' "$1/$2"/*.[ch] | grep -vE "#include \"($allowed)/[a-z_]+\.h\"" \
		>"$tmp/upward" && fail "$2 includes what it may not know: $(cat "$tmp/upward")"
}

# read_room ROOM: symbols of its objects, in $tmp/ROOM.defined and $tmp/ROOM.used
archives=lib
archive() { echo "$archives/$1/.libs/lib$1.a"; }
read_room() {
	nm -g --defined-only "$(archive "$1")" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$tmp/$1.defined"
	# what a compiler for arm64 calls for an atomic access is in each program itself (libgcc.a)
	nm -u "$(archive "$1")" 2>/dev/null |
		awk '/ U / && $2 !~ /^__aarch64_(cas|swp|ld[a-z]*)[1-8]_/ { print $2 }' | sort -u >"$tmp/$1.used"
}

# symbols ROOM: what it uses of zcreq_ is defined in a room that it may know
symbols() {
	for low in $(below "$1"); do cat "$tmp/$low.defined"; done | sort -u >"$tmp/below"
	for other in base core memory stream explain guard; do
		case " $(below "$1") " in *" $other "*) continue ;; esac
		[ -f "$(archive "$other")" ] || continue
		comm -13 "$tmp/below" "$tmp/$other.defined" | comm -12 "$tmp/$1.used" - >"$tmp/upward"
		[ -s "$tmp/upward" ] && fail "$1 uses of $other: $(xargs <"$tmp/upward")"
	done
}

# What of libc the two lowest rooms may use: memory and strings, abort with its line, a
# clock for the seed of handles. None of it waits, or touches a descriptor but stderr.
libc="abort calloc clock_gettime free memcpy memset strcmp strnlen strlen fprintf stderr
	__errno_location __fprintf_chk __memcpy_chk __stack_chk_fail _GLOBAL_OFFSET_TABLE_"

no_system_calls() {
	for room in base core; do
		sort -u "$tmp/base.defined" "$tmp/core.defined" | comm -23 "$tmp/$room.used" - |
			sed -e 's/^__\([a-z_]*\)64$/\1/' |
			grep -vE '^__(asan|ubsan|tsan|gcov|sanitizer)_|^zcreq_' >"$tmp/foreign"
		for name in $(cat "$tmp/foreign"); do
			case " $(echo $libc) " in
			*" $name "*) ;;
			*) fail "$room uses $name" ;;
			esac
		done
	done
}

look() {
	for room in base core memory stream explain guard uring ev; do
		includes "$1" "$room"
	done
}

look "$top/lib"
if [ -f "$(archive core)" ]; then
	for room in base core memory stream explain guard; do read_room "$room"; done
	for room in base core memory stream explain guard; do symbols "$room"; done
	# instruments have data and calls of their own
	if [ -z "${SANITIZE_CFLAGS:-}" ] && ! nm "$(archive base)" | grep -q ' __gcov_'; then
		no_system_calls
	fi
else
	echo "no archives of the rooms here: symbols not checked"
fi

# ---- planted ----

real=$failed
planted() {
	[ "$failed" = 1 ] && grep -q "^FAIL: $2" "$tmp/said" && return
	echo "FAIL: $1 that was planted is not found"
	real=1
}

failed=0
cp -r "$top/lib" "$tmp/lib"
chmod -R u+w "$tmp/lib"
echo '#include "stream/stream.h"' >>"$tmp/lib/core/slot.c"
look "$tmp/lib" >"$tmp/said"
planted "an upward include" "core includes"

if [ -f "$(archive core)" ]; then
	failed=0
	mkdir "$tmp/objects"
	for room in base core memory stream explain guard; do
		mkdir -p "$tmp/objects/$room/.libs"
		[ -f "$(archive $room)" ] && cp "$(archive $room)" "$tmp/objects/$room/.libs"
	done
	archives=$tmp/objects
	echo 'extern int zcreq_process(void *, short); int planted(void *p) { return zcreq_process(p, 0); }' >"$tmp/planted.c"
	# shellcheck disable=SC2086  # words
	${CC:-cc} -c -o "$tmp/planted.o" "$tmp/planted.c" && ar q "$(archive core)" "$tmp/planted.o"
	read_room core
	symbols core >"$tmp/said"
	planted "an upward call" "core uses of stream"
fi
exit $real
