/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/spy_ring.h"

#include <check.h>
#include <errno.h>

#include "real/real.h"

static struct io_uring_sqe *spy_get_sqe(void *arg)
{
	struct spy_ring *spied = arg;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&spied->ring);

	if (sqe) {
		expect(spied->fresh_count < 16);
		spied->fresh[spied->fresh_count++] = sqe;
	}
	return sqe;
}

/* The bytes that a submission puts into the kernel's hands. */
static uint64_t bytes_of(const struct io_uring_sqe *sqe)
{
	const struct msghdr *message;
	uint64_t bytes = 0;

	if (sqe->opcode == IORING_OP_SEND_ZC)
		return sqe->fd < 0 ? 0 : sqe->len;
	if (sqe->opcode != IORING_OP_SENDMSG && sqe->opcode != IORING_OP_SENDMSG_ZC)
		return 0;
	message = (const struct msghdr *)(uintptr_t)sqe->addr;
	for (size_t i = 0; i < message->msg_iovlen; i++)
		bytes += message->msg_iov[i].iov_len;
	return bytes;
}

static int spy_submit(void *arg)
{
	struct spy_ring *spied = arg;

	for (int i = 0; i < spied->fresh_count; i++) {
		uint64_t bytes = bytes_of(spied->fresh[i]);

		if (bytes) /* one at a time on a stream */
			expect(spied->spy->lent_to == spied->spy->position);
		spied->spy->lent_to += bytes;
	}
	spied->fresh_count = 0;
	spied->spy->calls++;
	return io_uring_submit(&spied->ring);
}

static int spy_peek(struct io_uring_cqe *cqe, void *arg)
{
	struct spy_ring *spied = arg;
	struct io_uring_cqe *found;

	if (io_uring_peek_cqe(&spied->ring, &found))
		return 0;
	*cqe = *found;
	io_uring_cqe_seen(&spied->ring, found);
	/* 2^24 - 1 is nobody's stream: cancellations and questions */
	if ((cqe->user_data >> 32 & 0xffffff) == 0xffffff)
		return 1;
	if (cqe->flags & IORING_CQE_F_NOTIF)
		spy_notified(spied->spy, (uint32_t)cqe->user_data);
	else
		spy_accepted(spied->spy, (uint32_t)cqe->user_data, cqe->res > 0 ? cqe->res : 0,
			     cqe->flags & IORING_CQE_F_MORE);
	return 1;
}

static int spy_run(void *arg)
{
	return io_uring_get_events(&((struct spy_ring *)arg)->ring);
}

static int spy_eventfd(int fd, void *arg)
{
	return io_uring_register_eventfd(&((struct spy_ring *)arg)->ring, fd);
}

static int spy_register_buffers(const struct iovec *iov, unsigned count, void *arg)
{
	struct io_uring *ring = &((struct spy_ring *)arg)->ring;

	return iov ? io_uring_register_buffers(ring, iov, count)
		   : io_uring_unregister_buffers(ring);
}

const struct zcreq_uring_ops spy_ring_ops = {
	.get_sqe = spy_get_sqe,
	.submit = spy_submit,
	.peek = spy_peek,
	.run = spy_run,
	.eventfd = spy_eventfd,
	.register_buffers = spy_register_buffers,
};

void spy_ring_init(struct spy_ring *spied, struct spy *spy)
{
	*spied = (struct spy_ring){.spy = spy};
	ck_ok(io_uring_queue_init(64, &spied->ring, 0));
}

void spy_ring_deinit(struct spy_ring *spied)
{
	io_uring_queue_exit(&spied->ring);
}
