#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check_linked.sh - who does not link libzcreq-guard has nothing of it
#
# libzcreq uses none of the functions that a guard takes, and the environment changes
# nothing for a program that links only libzcreq; one that links both does as it says.
#
# Run by make check from the build tree. Uses: CC SANITIZE_CFLAGS
set -u
export LC_ALL=C
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
ulimit -c 0
unset ZCREQ_GUARD
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# What a guard takes: signals, threads and fork(2), backtraces, the environment, files, its own
# memory through the kernel. (The library maps pages itself where it detaches: claims.sh.)
takes='sigaction|signal|raise|pthread_[a-z_]*|__register_atfork|sched_yield|__tls_get_addr'
takes="$takes|backtrace[a-z_]*|getenv|secure_getenv|fopen|fstat|process_vm_readv|dprintf"

# taken LIBRARY [-D]: which of these it uses. fstat(2) was a call of __fxstat before glibc 2.33,
# and has 64 in its name on 32 bits, as fopen has.
taken() { nm ${2:-} --undefined-only "$1" 2>/dev/null | sed -E 's/.* //; s/@.*//; s/^__fxstat$|^(__)?fstat64(_time64)?$/fstat/; s/^fopen64$/fopen/' | grep -xE "$takes" | sort -u | xargs; }

# instruments take some of this for themselves
if [ -f .libs/libzcreq.so ] && [ -z "${SANITIZE_CFLAGS:-}" ]; then
	found=$(taken .libs/libzcreq.so -D)
	# without an instruction for division libgcc's is in there, and raises a signal for one by 0
	if [ "$found" = raise ] && nm .libs/libzcreq.so | grep -q ' __aeabi_[il]div0$'; then
		found=$(for room in base core memory stream explain; do
			taken "lib/$room/.libs/lib$room.a"
		done | xargs)
	fi
	[ -z "$found" ] || fail "libzcreq uses $found"
	if [ -f .libs/libzcreq.a ]; then
		found=$(taken .libs/libzcreq.a)
		[ -z "$found" ] || fail "libzcreq.a uses $found"
	fi
	for word in ZCREQ_GUARD /proc/self/maps; do
		grep -qaF "$word" .libs/libzcreq.so && fail "libzcreq knows of $word"
		grep -qaF "$word" .libs/libzcreq-guard.so || fail "$word would not be found"
	done
	# and they would be found; musl has no backtrace
	backtrace=backtrace
	echo '#include <execinfo.h>' | ${CC:-cc} -E - >/dev/null 2>&1 || backtrace=
	found=" $(taken .libs/libzcreq-guard.so -D) "
	for name in $backtrace fstat process_vm_readv secure_getenv sigaction; do
		case $found in *" $name "*) ;; *) fail "$name would not be found" ;; esac
	done
fi

# says PROGRAM WORDS STATUS: what it says is in $tmp/said, and it ends like this
says() {
	ZCREQ_GUARD=$2 "$1" >"$tmp/said" 2>"$tmp/err"
	status=$?
	[ "$status" = "$3" ] || fail "$1 with \"$2\": status $status, not $3"
	cat "$tmp/err" >>"$tmp/said"
}

# expect LINE: one line that was said begins so
expect() {
	grep -q "^$1" "$tmp/said" || fail "not \"$1\", but $(cat "$tmp/said")"
}

ZCREQ_GUARD=continue tests/guard/attached >"$tmp/said" 2>&1
if grep -q 'attach: -38$' "$tmp/said"; then # ENOSYS
	[ $failed = 0 ] || exit 1
	echo "skipped: no process_vm_readv(2) here: emulated, or a kernel without it"
	exit 77
fi

says examples/hello "" 0
cp "$tmp/said" "$tmp/alone"
for words in nonsense checksum protect protect,continue; do
	says examples/hello "$words" 0
	cmp -s "$tmp/said" "$tmp/alone" || fail "hello with \"$words\" says $(cat "$tmp/said")"
done

changed="zcreq guard: memory in flight was changed: request "
says tests/guard/attached "" 0
expect '-2$' # ENOENT: it is not guarded
says tests/guard/attached nonsense 0
expect '-2$'
expect 'zcreq guard: ZCREQ_GUARD: what is "nonsense"?$'
says tests/guard/attached continue 0
expect '1$'
expect "$changed"
says tests/guard/attached checksum 134 # SIGABRT
expect "$changed"
exit $failed
