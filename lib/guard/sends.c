/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sends.c - memory in flight: as it was when it was queued, and as it is at the end
 *
 * What is kept of a send is one block: its sums, a copy of its iovecs, and whose it is.
 * A queued send has room for a number and not for a pointer, so the blocks are found
 * through a table. Without memory for one the send goes out all the same, unwatched,
 * which is said.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard/checksum.h"
#include "guard/guard.h"
#include "guard/pages.h"

struct guarded {
	struct zcreq_guard_area area; /* first */
	struct zcreq_guard *guard;
	struct zcreq_conn *conn;
	zcreq_id id;
	uint32_t number;
	int fd;
	struct zcreq_checksum sum; /* last: what it points at is behind it */
};

struct guarded_slot {
	struct zcreq_slot slot; /* first: see slot.h */
	struct guarded *guarded;
};

static bool tell_of_send(const struct guarded *guarded, enum zcreq_guard_crime crime,
			 const struct zcreq_checksum_difference *where)
{
	struct zcreq_guard_report report = {
		.crime = crime,
		.conn = guarded->conn,
		.fd = guarded->fd,
		.id = guarded->id,
		.send = guarded->number,
		.send_bytes = guarded->sum.total_bytes,
		.offset_bytes = where->offset_bytes,
		.len_bytes = where->len_bytes,
		.address = where->address,
	};
	char run[64] = "";

	if (report.len_bytes)
		snprintf(run, sizeof(run), ", %" PRIu64 " bytes in a run", report.len_bytes);
	return zcreq_guard_tell(guarded->guard, &report,
				"request %016" PRIx64 ", send %" PRIu32
				" on descriptor %d: byte %" PRIu64 " of %" PRIu64 ", at %p%s",
				report.id.bits, report.send, report.fd, report.offset_bytes,
				report.send_bytes, report.address, run);
}

/* In the handler of SIGSEGV, in whichever thread. */
static bool written(struct zcreq_guard_area *area, const char *address, uint64_t offset_bytes)
{
	const struct zcreq_checksum_difference where = {
		.address = address, .offset_bytes = offset_bytes,
	};

	return tell_of_send((struct guarded *)area, ZCREQ_GUARD_WRITTEN, &where);
}

/* Puts a send into the table: its number there, or 0. */
static uint32_t enter(struct zcreq_guard *guard, struct guarded *guarded)
{
	struct zcreq_slot *slot;

	if (!guarded || (zcreq_slots_full(&guard->sends) &&
			 zcreq_slots_grow(&guard->sends, sizeof(struct guarded_slot))))
		return 0;
	slot = zcreq_slots_take(&guard->sends, sizeof(struct guarded_slot));
	((struct guarded_slot *)slot)->guarded = guarded;
	return (slot->bits & ZCREQ_SLOT_INDEX_MASK) + 1;
}

static void tell_blind(struct zcreq_guard *guard, struct zcreq_conn *conn, zcreq_id id, int fd,
		       uint32_t number)
{
	struct zcreq_guard_report report = {
		.crime = ZCREQ_GUARD_BLIND,
		.conn = conn,
		.fd = fd,
		.id = id,
		.send = number,
	};

	zcreq_guard_tell(guard, &report,
			 "request %016" PRIx64 ", send %" PRIu32 " on descriptor %d", id.bits,
			 number, fd);
}

uint32_t zcreq_guard_send(void *of, struct zcreq_conn *conn, zcreq_id id, int fd,
			  const struct iovec *iov, uint32_t iovcnt, uint32_t number)
{
	struct zcreq_guard *guard = of;
	size_t size = offsetof(struct guarded, sum) + zcreq_checksum_size(iov, iovcnt);
	struct guarded *guarded;
	uint32_t entry;

	zcreq_guard_call(guard, NULL, ZCREQ_CALL_DOES);
	guarded = zcreq_calloc(guard->allocator, 1, size);
	entry = enter(guard, guarded);
	if (!entry) {
		zcreq_free(guard->allocator, guarded);
		tell_blind(guard, conn, id, fd, number);
		return 0;
	}
	guarded->guard = guard;
	guarded->conn = conn;
	guarded->id = id;
	guarded->number = number;
	guarded->fd = fd;
	guarded->area.written = written;
	zcreq_checksum_take(&guarded->sum, iov, iovcnt);
	guarded->area.iov = guarded->sum.iov;
	guarded->area.iovcnt = iovcnt;
	if (zcreq_guard_protects(guard))
		zcreq_guard_pages_take(&guarded->area);
	return entry;
}

void zcreq_guard_send_gone(void *of, uint32_t entry)
{
	struct zcreq_guard *guard = of;
	struct zcreq_slot *slot =
		zcreq_slots_at(&guard->sends, entry - 1, sizeof(struct guarded_slot));
	struct guarded *guarded = ((struct guarded_slot *)slot)->guarded;
	struct zcreq_checksum_difference where;
	enum zcreq_checksum_verdict verdict = zcreq_checksum_compare(&guarded->sum, &where);

	if (zcreq_guard_protects(guard))
		zcreq_guard_pages_give(&guarded->area, verdict != ZCREQ_CHECKSUM_SAME);
	if (verdict != ZCREQ_CHECKSUM_SAME &&
	    tell_of_send(guarded, verdict == ZCREQ_CHECKSUM_CHANGED ? ZCREQ_GUARD_CHANGED
								    : ZCREQ_GUARD_UNMAPPED, &where))
		abort();
	zcreq_slots_give(&guard->sends, slot);
	zcreq_free(guard->allocator, guarded);
}
