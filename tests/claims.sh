#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# claims.sh - what headers and pages say about the whole of libzcreq, held by its symbols
#
# Each claim below is a sentence that stands somewhere. tests/layers.sh holds those about
# base and core alone. libzcreq-guard is not asked: it is a tool with a lock, a signal
# handler and state of the process, and says so (doc/guard.md).
#
# At the end a call is planted that breaks a claim, and has to be found.
#
# Run by make check from the build tree. Uses: srcdir CC
. "${srcdir:-.}/tests/verdict.sh"
rooms="base core memory stream explain"

archive() { echo "lib/$1/.libs/lib$1.a"; }

for room in $rooms; do
	[ -f "$(archive $room)" ] || { echo "there is no $(archive $room): nothing to look at"; exit 77; }
done
if [ -n "${SANITIZE_CFLAGS:-}" ] || nm "$(archive base)" | grep -q ' __gcov_'; then
	echo "instruments have data and calls of their own"
	exit 77
fi

# uses: "FILE SYMBOL" of everything that is not defined in the library itself; where time has
# 64 bits on a processor of 32, glibc has other names for the same
for room in $rooms; do
	nm -A -u "$(archive $room)" 2>/dev/null | sed -E "s/^[^:]*:lib[a-z]*_la-([a-z_]+)\.o:.* U /$room\/\1.c /"
done | grep -v -e ' zcreq_' -e ' _GLOBAL_OFFSET_TABLE_$' -e ' __errno_location$' -e ' __stack_chk_fail$' |
	sed -e 's/ __\(.*\)_chk$/ \1/' -e 's/ __\(.*\)_time64$/ \1/' -e 's/ __\([a-z_]*\)64$/ \1/' \
		-e 's/ fstat64$/ fstat/' -e 's/ __fxstat$/ fstat/' | sort -u >"$tmp/uses"
[ -s "$tmp/uses" ] || fail "no symbols were found"

# only CLAIM SYMBOLS FILE...: nobody but these files uses one of the symbols
only()
{
	claim=$1 symbols=$2
	shift 2
	grep -E " ($symbols)\$" "$tmp/uses" >"$tmp/found"
	for file; do
		grep -v "^$file " "$tmp/found" >"$tmp/rest"
		mv "$tmp/rest" "$tmp/found"
	done
	[ -s "$tmp/found" ] && fail "$claim: $(xargs <"$tmp/found")"
}

look()
{
	# lib/stream/socket.h, include/zcreq/stream.h
	only "calls on a stream's descriptor are made in socket.c" \
		'(send|recv)(msg|mmsg|to|from)?|[gs]etsockopt|get(peer|sock)name|connect|shutdown|accept4?|socket|bind|listen|ioctl|fcntl|fstat' \
		stream/socket.c
	# lib/stream/poller.c: its counters are never read
	only "an eventfd is in poller.c" 'eventfd|write' stream/poller.c
	# lib/memory/maps.h: what is read is /proc/self/smaps, when something is detached
	only "no descriptor is read but in maps.c" 'read|readv|writev|pread|pwrite' memory/maps.c
	only "descriptors are closed in socket.c, poller.c, maps.c and page_file.c" 'close' \
		stream/socket.c stream/poller.c memory/maps.c explain/page_file.c
	only "an epoll is in poller.c" 'epoll_create1|epoll_ctl|epoll_wait' stream/poller.c
	# include/zcreq/context.h
	only "the clock is read for the seed, for who asks for the time, and for a page" \
		'clock_gettime|clock_nanosleep|time|gettimeofday|timerfd_.*' base/seed.c stream/socket.c \
		explain/page_image.c
	only "nothing waits" 'poll|ppoll|select|pselect|epoll_p?wait2?|sleep|usleep|nanosleep|futex|syscall' stream/poller.c
	only "there is no thread and no lock" '(pthread|mtx|cnd|thrd|sem)_.*'
	only "there is no signal handler, and the environment is not read" \
		'sigaction|signal|sigprocmask|atexit|(secure_)?getenv'
	# include/zcreq/page.h: a file for pages
	only "no file is opened but in maps.c and page_file.c" \
		'open(at)?|f?open(64)?|mko?s?temp(64)?|rename|unlink|posix_fallocate(64)?' \
		memory/maps.c explain/page_file.c
	# include/zcreq/memory.h
	only "pages are asked for in the memory room and in page_file.c" \
		'mmap(64)?|mremap|munmap|mprotect|madvise|msync' memory/exchange.c memory/pool.c \
		explain/page_file.c
	# include/zcreq/context.h: memory comes from the context's allocator
	only "memory is asked for in memory.c" '[cm]alloc|realloc|free|strdup|aligned_alloc' base/memory.c
}

# lib/stream/poller.c: it asks the epoll, and does not wait for it. poll(2) and its like
# are not called there either.
asks_only()
{
	grep -E '^stream/poller\.c (poll|ppoll|p?select|epoll_pwait2?|u?sleep|nanosleep|futex|syscall)$' \
		"$tmp/uses" >"$tmp/found" && fail "nothing waits: $(xargs <"$tmp/found")"
	grep -n 'epoll_wait(' "$1" | grep -v 'epoll_wait([^;]*, 0)[,;]' >"$tmp/found" &&
		fail "nothing waits: $(cat "$tmp/found")"
	grep -q 'epoll_wait(' "$1" || fail "nobody asks the epoll: the claim is about nothing"
}

# include/zcreq/context.h: no globals. Read-only after relocation is not writable.
no_globals()
{
	for room in $rooms; do
		nm --format=sysv "$(archive "$room")" | tr -d ' ' |
			awk -F'|' '$3 ~ /^[bBdDC]$/ && $7 !~ /rel\.ro|^\.probes/ { print $1 }' >"$tmp/globals"
		[ -s "$tmp/globals" ] && fail "$room has globals: $(xargs <"$tmp/globals")"
	done
}

# include/zcreq/stream.h: the library itself never calls zcreq_now_ns()
never_asks()
{
	for room in $rooms; do
		nm -u "$(archive "$room")" 2>/dev/null | grep -q ' zcreq_now_ns$' && fail "$room calls zcreq_now_ns()"
	done
}

# HACKING.md: a static archive hides nothing. What a compiler for i386 adds to every file
# (__x86.get_pc_thunk) can be there twice.
prefixes()
{
	for room in $rooms; do
		nm -g --defined-only "$(archive "$room")" 2>/dev/null |
			awk 'NF == 3 && $3 !~ /^zcreq_|^_\.stapsdt|^__x86\.get_pc_thunk/ { print $3 }' >"$tmp/bare"
		[ -s "$tmp/bare" ] && fail "$room has names without a prefix: $(xargs <"$tmp/bare")"
	done
	for more in guard uring ev; do
		[ -f ".libs/libzcreq-$more.a" ] || continue
		nm -g --defined-only ".libs/libzcreq-$more.a" 2>/dev/null |
			awk 'NF == 3 && $3 !~ /^zcreq_|^__x86\.get_pc_thunk/ { print $3 }' >"$tmp/bare"
		[ -s "$tmp/bare" ] && fail "libzcreq-$more has names without a prefix: $(xargs <"$tmp/bare")"
	done
}

look
asks_only "${srcdir:-.}/lib/stream/poller.c"
no_globals
never_asks
prefixes

# ---- planted ----
real=$failed
printf '%s\n' "core/conn.c recvmsg" "stream/send.c epoll_ctl" "stream/poller.c poll" >>"$tmp/uses"
sed 's/\(epoll_wait([^;]*\), 0)/\1, 1)/' "${srcdir:-.}/lib/stream/poller.c" >"$tmp/waits.c"
look >"$tmp/said"
asks_only "$tmp/waits.c" >>"$tmp/said"
for claim in "calls on a stream's descriptor" "an epoll is in poller.c" "nothing waits: stream/poller.c poll" \
	"nothing waits: .*epoll_wait"; do
	grep -q "^FAIL: $claim" "$tmp/said" || {
		echo "FAIL: what was planted against \"$claim\" is not found"
		real=1
	}
done
exit $real
