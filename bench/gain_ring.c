/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_ring.c - SEND_ZC by hand, from memory that is registered and from memory that is not
 *
 * One submission under way, so that their order is kept, and as many notifications awaited
 * as may be in flight; one system call submits and waits.
 */
#include "gain.h"

#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

static void open_ring(struct sender *sender)
{
	const struct iovec pool = {sender->pool, POOL_BYTES};
	struct io_uring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		die("gain: memory");
	check(io_uring_queue_init(1024, ring,
				  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG));
	if (sender->way->registered)
		check(io_uring_register_buffers(ring, &pool, 1));
	sender->own = ring;
}

static void close_ring(struct sender *sender)
{
	const struct linger linger = {.l_onoff = 1};

	setsockopt(sender->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	io_uring_queue_exit(sender->own);
	free(sender->own);
	close(sender->fd);
}

/* Reads what has completed; @result is that of the submission under way, if it is there. */
static void reap(struct sender *sender, int *result)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(sender->own, &cqe) == 0) {
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			sender->inflight--;
		} else {
			*result = cqe->res;
			sender->inflight -= !(cqe->flags & IORING_CQE_F_MORE);
		}
		io_uring_cqe_seen(sender->own, cqe);
	}
}

static void submit(struct sender *sender)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(sender->own);
	size_t bytes = sender->bytes - sender->part;

	if (sender->way->registered)
		io_uring_prep_send_zc_fixed(sqe, sender->fd, sender_next(sender), bytes,
					    MSG_NOSIGNAL, 0, 0);
	else
		io_uring_prep_send_zc(sqe, sender->fd, sender_next(sender), bytes, MSG_NOSIGNAL, 0);
	sender->inflight++;
}

static void run_ring(struct sender *sender, uint64_t end_ns)
{
	bool under_way = false, over = false;
	unsigned n = 0;

	while (!over || sender->inflight || under_way) {
		int result = -1;

		if (!under_way && !over && sender->inflight < sender->most) {
			submit(sender);
			under_way = true;
		}
		check(io_uring_submit_and_wait(sender->own, 1));
		reap(sender, &result);
		over = over || (++n % 16 == 0 && zcreq_now_ns() >= end_ns);
		if (result == -1)
			continue;
		check(result);
		under_way = false;
		sender_took(sender, (size_t)result);
	}
}

const struct way way_send_zc = {"send_zc", open_ring, run_ring, close_ring, 0, 1, 0, 0};
const struct way way_send_zc_fixed = {"send_zc+reg", open_ring, run_ring, close_ring, 0, 1, 1, 0};
