/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loans.h - which memory the sends of a stream have lent, where that is to be exchanged
 *
 * The queue forgets an iovec when the kernel has accepted its bytes; whoever wants to put
 * other pages there needs it until the proof. So streams that may be detached keep a fifo of
 * their own, in the order of the sends. A proof does nothing here: loans of sends that have
 * left the queue are found when a place is needed.
 */
#ifndef ZCREQ_LIB_LOANS_H
#define ZCREQ_LIB_LOANS_H

#include <stdint.h>
#include <sys/uio.h>

#include "stream/sendq.h"

struct zcreq_loan {
	uint32_t send; /* number in the queue */
	struct iovec memory; /* without length: was exchanged already */
};

struct zcreq_loans {
	struct zcreq_loan *fifo;
	uint32_t mask, head, tail;
};

static inline void zcreq_loans_init(struct zcreq_loans *loans)
{
	*loans = (struct zcreq_loans){.mask = UINT32_MAX};
}

/* Makes room for so many more: 0 or -ENOMEM. */
int zcreq_loans_make_room(struct zcreq_loans *loans, const struct zcreq_sendq *q, uint32_t more);

/* What the next send of the queue will lend; there is room. */
void zcreq_loans_note(struct zcreq_loans *loans, const struct zcreq_sendq *q,
		      const struct iovec *iov, uint32_t iovcnt);

/* That send was not queued after all. */
void zcreq_loans_forget(struct zcreq_loans *loans, const struct zcreq_sendq *q);

/* Gives the memory back. */
void zcreq_loans_trim(struct zcreq_loans *loans, const struct zcreq_allocator *allocator);

/* The send of a loan that is still in the kernel's hands, or NULL. */
struct zcreq_send *zcreq_loan_send(const struct zcreq_loan *loan, const struct zcreq_sendq *q);

/* The pages of @lent are not the kernel's any more: loans that lie on them end there. */
void zcreq_loans_exchanged(struct zcreq_loans *loans, const struct iovec *lent, int count);

static inline struct zcreq_loan *zcreq_loans_at(const struct zcreq_loans *loans, uint32_t number)
{
	return &loans->fifo[number & loans->mask];
}

#endif
