#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# check_guard.sh - zcreq-guard finds what is wrong, and nothing else
#
# Every deed of tests/tools/guard/: a wrong one is reported once, in the words below,
# and ends with another status; a right one does what it does without the guard.
#
# Run by make check from the build tree. Uses: srcdir
set -u
deeds=tests/tools/guard/deeds
guard=tools/guard/zcreq-guard
ZCREQ_GUARD_OBJECT=$PWD/tools/guard/.libs/zcreq-guard.so
export ZCREQ_GUARD_OBJECT
unset ZCREQ_GUARD_OPTIONS
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0
count=0

fail() {
	echo "FAIL: $*"
	cat "$tmp/err"
	failed=1
}

# guarded DEED [OPTIONS]: runs it; what it said is in $tmp, its status in $status
guarded() {
	count=$((count + 1))
	ZCREQ_GUARD_OPTIONS=${2:-} "$guard" "$deeds" "$1" >"$tmp/out" 2>"$tmp/err"
	status=$?
	reports=$(grep -c 'zcreq-guard: [^Z]' "$tmp/err")
}

# wrong WORDS DEED...
wrong() {
	words=$1
	shift
	for deed; do
		guarded "$deed" "${options:-}"
		[ "$status" = 66 ] || fail "$deed: status $status, not 66"
		[ "$reports" = 1 ] || fail "$deed: $reports reports, not 1"
		grep -q "zcreq-guard: $words" "$tmp/err" || fail "$deed: not \"$words\""
	done
}

# right DEED...
right() {
	for deed; do
		"$deeds" "$deed" >"$tmp/alone" 2>&1
		alone=$?
		guarded "$deed"
		[ "$status" = "$alone" ] || fail "$deed: status $status, not $alone"
		[ "$reports" = 0 ] || fail "$deed: $reports reports"
		cat "$tmp/out" "$tmp/err" | cmp -s - "$tmp/alone" || fail "$deed: says something else"
	done
}

ulimit -l 2>/dev/null | grep -qx unlimited || [ "$(ulimit -l)" -ge 4096 ] || {
	echo "skipped: less than 4 MB of memory may be locked here"
	exit 77
}
"$guard" true 2>"$tmp/err" || {
	cat "$tmp/err"
	# musl's name of it
	grep -q ' libc\.so: cannot open' "$tmp/err" || exit 1
	echo "skipped: the programs here have another C library than zcreq-guard"
	exit 77
}
if [ -s "$tmp/err" ]; then
	echo "skipped: $(cat "$tmp/err")"
	exit 77
fi

wrong 'memory in flight was changed' changed-send changed-sendto changed-sendmsg \
	changed-sendmmsg changed-threads changed-dup changed-fork changed-child changed-exec \
	changed-end
wrong 'memory in flight was unmapped' unmapped
wrong 'a descriptor was closed with sends in flight' closed closed-dup2 closed-range
wrong 'notifications were never read' never-read never-read-closed never-read-_exit
options=unread_sends=20 wrong 'notifications are not read' not-read
wrong 'one socket is waited for through two descriptors' epoll-twice epoll-two poll-twice
right right right-parts right-copy right-errors right-disconnect right-reset right-linger \
	right-dup right-calls right-epoll right-child right-handed right-given right-vfork \
	right-exec right-unseen right-threads right-reaper

# what is named: a block of 256 bytes with the one that changed, and all that can leak
guarded changed-send
grep -q 'send 1 of descriptor [0-9]*, byte 4864 of 131072, 256 bytes' "$tmp/err" ||
	fail "changed-send: not byte 4864"
guarded closed
bytes=$(sed -n 's/.*up to \([0-9]*\) bytes can still leave.*/\1/p' "$tmp/err")
[ "${bytes:-0}" -gt 65536 ] && [ "$bytes" -le 131072 ] || fail "closed: $bytes bytes can leave"

# options, as of a sanitizer
guarded changed-send exitcode=7
[ "$status" = 7 ] || fail "exitcode=7: status $status"
guarded changed-send exitcode=0
[ "$status" = 0 ] || fail "exitcode=0: status $status"
grep -q '^done' "$tmp/out" || fail "what was printed is lost"
guarded changed-send halt_on_error=1
[ "$status" = 134 ] || fail "halt_on_error=1: status $status"
grep -q '^done' "$tmp/out" && fail "halt_on_error=1: it went on"
guarded epoll-twice polls=0
[ "$status" = 0 ] && [ "$reports" = 0 ] || fail "polls=0: status $status"
guarded not-read unread_sends=0
[ "$status" = 0 ] && [ "$reports" = 0 ] || fail "unread_sends=0: status $status"
guarded right nonsense=1:exitcode=x
[ "$(grep -c 'ZCREQ_GUARD_OPTIONS: what is' "$tmp/err")" = 2 ] || fail "nonsense is not said"
guarded changed-send "log_path=$tmp/log"
[ -s "$tmp/err" ] && fail "log_path: it went to stderr"
grep -q 'memory in flight was changed' "$tmp"/log.[0-9]* || fail "log_path: nothing in the log"

# the launcher itself
"$guard" 2>"$tmp/err" && fail "without a program it is content"
ZCREQ_GUARD_OBJECT=$tmp/none "$guard" true 2>"$tmp/err" && fail "without its object it is content"

echo "$count runs"
exit $failed
