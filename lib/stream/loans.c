/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/loans.h"

#include <errno.h>

#include "base/pages.h"

#define LOANS_LEAST 16

/* Loans of sends that have left the queue. */
static void drop_past(struct zcreq_loans *loans, const struct zcreq_sendq *q)
{
	while (loans->head != loans->tail &&
	       (int32_t)(zcreq_loans_at(loans, loans->head)->send - q->head) < 0)
		loans->head++;
}

int zcreq_loans_make_room(struct zcreq_loans *loans, const struct zcreq_sendq *q, uint32_t more)
{
	const struct zcreq_allocator *allocator = &q->context->allocator;
	uint32_t least;
	void *grown;

	drop_past(loans, q);
	least = loans->tail - loans->head + more;
	if (least <= loans->mask + 1)
		return 0;
	grown = zcreq_fifo_grow(allocator, loans->fifo, &loans->mask, sizeof(*loans->fifo),
				loans->head, loans->tail,
				least > LOANS_LEAST ? least : LOANS_LEAST);
	if (!grown)
		return -ENOMEM;
	loans->fifo = grown;
	return 0;
}

void zcreq_loans_note(struct zcreq_loans *loans, const struct zcreq_sendq *q,
		      const struct iovec *iov, uint32_t iovcnt)
{
	for (uint32_t i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len)
			*zcreq_loans_at(loans, loans->tail++) =
				(struct zcreq_loan){q->tail, iov[i]};
	}
}

void zcreq_loans_forget(struct zcreq_loans *loans, const struct zcreq_sendq *q)
{
	while (loans->tail != loans->head &&
	       zcreq_loans_at(loans, loans->tail - 1)->send == q->tail)
		loans->tail--;
}

void zcreq_loans_trim(struct zcreq_loans *loans, const struct zcreq_allocator *allocator)
{
	zcreq_free(allocator, loans->fifo);
	zcreq_loans_init(loans);
}

struct zcreq_send *zcreq_loan_send(const struct zcreq_loan *loan, const struct zcreq_sendq *q)
{
	struct zcreq_send *send;

	if (!loan->memory.iov_len || (int32_t)(loan->send - q->head) < 0)
		return NULL;
	send = zcreq_sendq_at(q, loan->send);
	return zcreq_send_request(send) ? send : NULL;
}

/* Without these pages, which begin before its end. */
static void cut(struct iovec *memory, struct zcreq_pages pages)
{
	const uintptr_t start = (uintptr_t)memory->iov_base, end = start + memory->iov_len;

	/* two ranges may lie on one page */
	if (start >= pages.end)
		return;
	if (start >= pages.start && end <= pages.end) {
		memory->iov_len = 0;
	} else if (start >= pages.start) {
		memory->iov_base = (char *)memory->iov_base + (pages.end - start);
		memory->iov_len = end - pages.end;
	} else if (end <= pages.end) {
		memory->iov_len = pages.start - start;
	}
	/* one that reaches beyond both sides stays: its pages are exchanged once more */
}

/* The first of the ranges, which are sorted, whose pages end behind @start. */
static int first_behind(const struct iovec *lent, int count, uintptr_t start)
{
	int low = 0, high = count;

	while (low < high) {
		const int middle = low + (high - low) / 2;

		if (zcreq_pages_of(&lent[middle]).end > start)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void zcreq_loans_exchanged(struct zcreq_loans *loans, const struct iovec *lent, int count)
{
	for (uint32_t at = loans->head; at != loans->tail; at++) {
		struct iovec *memory = &zcreq_loans_at(loans, at)->memory;
		int i = first_behind(lent, count, (uintptr_t)memory->iov_base);

		for (; i < count && memory->iov_len; i++) {
			const struct zcreq_pages pages = zcreq_pages_of(&lent[i]);

			if (pages.start >= (uintptr_t)memory->iov_base + memory->iov_len)
				break;
			cut(memory, pages);
		}
	}
}
