#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# planted.sh - the simulator is tested: it finds each of these bugs within 3000 lives
#
# Those take some ten seconds of a processor. They are counted, and no seconds are: what the
# others on a machine do changes what a second is worth, and the lives are always the same.
#
# One line of one file of the library is changed, that file is compiled and linked
# with the simulator in place of the real one. Then random lives have to fail, with
# a failure of the expected kind, and the short life that is told has to fail alike
# when it is replayed, and to pass with the library as it is. A line that is no
# longer there, or there twice, is an error: the bug has to be planted anew.
#
# Run by make check from the build tree. Uses: srcdir PLANTED_CC PLANTED_OBJECTS
# PLANTED_LIBS (how the simulator is compiled, and what it is linked from)
set -u
export LC_ALL=C
# the model has to find them, not what the library claims of itself (check.h); a library
# with --enable-debug cannot be asked to be silent, and may be the first to notice
export ZCREQ_SIM_OUTSIDE=1
case $PLANTED_CC in *-DZCREQ_DEBUG*) claims=1 ;; *) claims= ;; esac
srcdir=${srcdir:-.}
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0
planted=0

fail() {
	echo "FAIL: $name: $*"
	failed=$((failed + 1))
}

# changed FILE OLD NEW: FILE with the one line that has OLD changed
changed() {
	OLD=$2 NEW=$3 awk '
		BEGIN { old = ENVIRON["OLD"]; new = ENVIRON["NEW"] }
		(at = index($0, old)) {
			found++
			$0 = substr($0, 1, at - 1) new substr($0, at + length(old))
		}
		{ print }
		END { exit found != 1 }' "$1"
}

# kind: a failure without the numbers in it, but with that of the invariant
kind() {
	sed 's/\([^I0-9]\)[0-9][0-9]*/\1N/g'
}

# build FILE OLD NEW: a simulator over a library with this bug
build() {
	if ! changed "$srcdir/$1" "$2" "$3" >"$tmp/planted.c"; then
		fail "$1 has not one line with: $2"
		return 1
	fi
	# shellcheck disable=SC2086  # lists of words
	$PLANTED_CC -c -o "$tmp/planted.o" "$tmp/planted.c" &&
		$PLANTED_CC -o "$tmp/sim" "$tmp/planted.o" $PLANTED_OBJECTS $PLANTED_LIBS && return 0
	fail "cannot be built"
	return 1
}

# noticed: did a library that may do so end the program because a claim is broken?
noticed() {
	[ -n "$claims" ] && [ "$said" = Aborted ] && grep -q ': broken invariant: ' "$tmp/errors"
}

# plant NAME FILE OLD NEW KIND: has to be found, and to fail with a KIND (an ERE)
plant() {
	name=$1
	planted=$((planted + 1))
	build "$2" "$3" "$4" || return
	before=$(date +%s%N)
	if ZCREQ_SIM_SHRINK_MS=1500 timeout 600 "$tmp/sim" run LIVES=3000 JOBS=1 \
		>"$tmp/told" 2>"$tmp/errors"; then
		fail "not found in 3000 lives"
		return
	fi
	took_ms=$((($(date +%s%N) - before) / 1000000))
	said=$(sed -n 's/^# seed [0-9]* fails: //p' "$tmp/told")
	lines=$(grep -vc '^#' "$tmp/told")
	echo "$name: found, shrunk to $lines lines, $took_ms ms in all: $said"
	echo "$said" | kind | grep -Eq "$5" || noticed || {
		fail "expected to be told: $5"
		cat "$tmp/told" "$tmp/errors"
	}
	"$tmp/sim" replay "$tmp/told" >"$tmp/again" 2>&1 && fail "does not fail when it is replayed"
	[ "$(tail -n 1 "$tmp/again" | kind)" = "# $(echo "$said" | kind)" ] || fail "fails differently when it is replayed"
	tests/sim/check_sim replay "$tmp/told" >"$tmp/clean" 2>&1 || {
		fail "what is told fails without the bug as well"
		cat "$tmp/clean"
	}
}

# what comes too early shows in the callback, or, if it is a copy that the library
# holds for a write, in what the stream waits for or when that memory changes
early='^I2: |memory of id N changed while referenced'

# a send is given back with the first of its batches
plant release-early lib/stream/sendq.c \
	'gone(q, send, why);' \
	'gone(q, send, why); else if (number < q->next) { send->batches = 0; gone(q, send, why); }' \
	"$early"

# the way of an error and the usual way both report the end
plant release-twice lib/core/request.c \
	'hooks->released(id, request->status, request->arg);' \
	'int status = request->status; void *arg = request->arg; hooks->released(id, status, arg); if (status) hooks->released(id, status, arg);' \
	'^I1: rN released twice'

# of several sends in one batch the last is forgotten
plant lose-one lib/stream/sendq.c \
	'for (uint32_t number = first; number != last + 1; number++) {' \
	'for (uint32_t number = first; number != last + (first == last); number++) {' \
	'^(I1: rN of cN is lost|I5: rN of cN not released|cN: N bytes held by N sends)'

# the loop over a range of ids that every second project had
plant loop-on-wrap lib/stream/proof.c \
	'while (id++ != hi);' \
	'while (id++ != hi || hi == UINT32_MAX);' \
	'^it never ends$'

# what is notified, is notified up to there
plant trust-order lib/stream/proof.c \
	'ids = hi - lo + 1;' \
	'id = stream->ids.oldest, ids = hi - lo + 1;' \
	"$early"

# the kernel copies here, so nothing waits for it any more
plant trust-copied lib/stream/send.c \
	'range = zcreq_sendq_accept(&stream->queue, (uint64_t)ret, true);' \
	'if (stream->conn.stats.notified_copied) { zcreq_sendq_accept(&stream->queue, (uint64_t)ret, false); stream->ids.oldest++; stream->ids.next++; return ret; } range = zcreq_sendq_accept(&stream->queue, (uint64_t)ret, true);' \
	"$early"

# an error means that the sender has nothing any more
plant trust-error lib/stream/sender.c \
	'if (!more) {' \
	'if (!more || result < 0) {' \
	"$early|sender: it does not believe what is true"

# what was withdrawn is taken for a part of every batch around it
plant trust-range lib/stream/sendq.c \
	'if (!part && send->batches) {' \
	'if (!part && send->batches > UINT16_MAX) {' \
	"$early"

# what a sender gives back because the connection has died is a success
plant trust-dead lib/stream/sender.c \
	'if (count > 0)' \
	'if (count < 0)' \
	'^rN succeeded, its bytes were lost'

# what was copied is out of the queue, so nobody has to be watched for it
plant disarm-copied lib/stream/watchdog.c \
	'if (!look.owed && !zcreq_stream_outstanding(stream)) {' \
	'if (!zcreq_stream_outstanding(stream)) {' \
	'^I12: cN has N bytes unacknowledged'

# a loop that waits for what was true a while ago
plant events-untold lib/stream/loop.c \
	'zcreq_stream_events_changed(stream);' \
	';' \
	'^I10: cN: events .*, its poller was told'

# a turn ends, and what its callbacks have queued waits for the next
plant sleep-early lib/core/turn.c \
	'!TAILQ_EMPTY(&context->queued) || ' \
	'' \
	'^I10: (cN: what was queued was not tried|cN submits nothing)'

# of several connections on which something was queued, one is served
plant flush-one lib/core/turn.c \
	'conn->transport->flush(conn);' \
	'if (TAILQ_EMPTY(&context->queued)) conn->transport->flush(conn);' \
	'^I10: (cN: what was queued was not tried|cN submits nothing)'

# nobody asks whether the socket has made sends before
plant trust-past lib/stream/stream.c \
	'return info->len < enough || info->tcp.tcpi_data_segs_out || info->tcp.tcpi_notsent_bytes;' \
	'return info->len < enough;' \
	'^I13: cN: a socket with a past was opened'

# what was sent has arrived
plant close-unacknowledged lib/stream/fin.c \
	'return info->tcpi_state == ZCREQ_TCP_FIN_WAIT2 || info->tcpi_state == ZCREQ_TCP_TIME_WAIT;' \
	'return true;' \
	'^I11: cN drained, the peer has N of N bytes'

# each call of a program's own that asks for zero-copy uses up an id, also if it took nothing
plant count-refused lib/stream/own.c \
	'if (bytes && by_reference)' \
	'if (by_reference)' \
	'^I2: cN waits for N ids|^(I1: rN of cN is lost|I5: rN of cN not released)'

# a call is proof of all that it was offered, also of what the next one took
plant trust-offer lib/stream/own.c \
	'batch->last_send = q->tail - 1;' \
	';' \
	"$early|^it never ends$"

# a notification that is read before the report of its call is lost
plant lose-early lib/stream/own.c \
	'if (early != ZCREQ_EARLY_NOTHING)' \
	'if (early != ZCREQ_EARLY_NOTHING && stream->ids.pending > 3)' \
	'^I2: cN waits for N ids|^(I1: rN of cN is lost|I5: rN of cN not released)'

# what was detached stays the request's, and is given back once more with its proof
plant detach-keeps lib/stream/sendq.c \
	'send->owner = ZCREQ_SEND_DETACHED;' \
	'' \
	'^(N bytes detached, the kernel has N|Aborted)'

# pages are exchanged although a sender has their addresses still to look up
plant detach-lent lib/stream/detach.c \
	'if (zcreq_stream_lent(stream))' \
	'if (zcreq_stream_lent(stream) && !stream->loans)' \
	'^cN exchanges (under a submission|pages, and should say -N)|^detach says -?N, should be -N'

# of a send of several buffers the first is known
plant loans-forgotten lib/stream/loans.c \
	'for (uint32_t i = 0; i < iovcnt; i++) {' \
	'for (uint32_t i = 0; i < iovcnt && i < 2; i++) {' \
	'^I2: rN is detached, the kernel has N bytes of its pages'

# what was exchanged with a neighbour's page is more than that page
plant loans-cut lib/stream/loans.c \
	'if (start >= pages.start && end <= pages.end) {' \
	'if (start >= pages.start) {' \
	'^I2: rN is detached, the kernel has N bytes of its pages|^cN: exchanges N bytes of which N are lent'

# a refusal is not looked at
plant detach-unasked lib/stream/detach.c \
	'ret = exchange(stream, lent, count, flags);' \
	'ret = exchange(stream, lent, count, flags) == -EPERM ? -EPERM : 0;' \
	'^detach says -?N, should be -N|^I2: cN says that N sends are detached'

echo "100%: Checks: $planted, Failures: $failed, Errors: 0"
[ "$failed" = 0 ]
