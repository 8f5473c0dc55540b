/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http-uring.c - the same server on an io_uring of its own: http-uring FOLDER [ADDRESS:]PORT
 *
 * New: the loop waits for a ring, and the library sends through that ring. One call opens
 * another kind of stream, zcreq_uring_stream_open(); connections, requests and hooks are
 * the same. Completions that have the library's tag are handed to it, and one turn makes
 * of them what they mean. The ring polls the context's descriptor as it polls any other.
 *
 * A program without a ring of its own passes no options to zcreq_uring_new(), keeps the
 * loop of http-epoll.c, and changes nothing else. If there is no io_uring (status 77
 * here), it may go on with a NULL ring, which sends through the sockets.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <zcreq/uring.h>

#include "http.h"
#include "scaffold.h"

enum { ZCREQ = 1 }; /* the tag: in the upper 8 bits of user_data, where ours have 0 */

static struct io_uring ring;
static struct zcreq_uring *uring;

/* What http.c calls instead of zcreq_stream_open(). */
static int stream_open(struct zcreq_context *context, const struct zcreq_stream_options *options,
		       struct zcreq_conn **conn)
{
	return zcreq_uring_stream_open(uring, context, options, conn);
}

/* Again and again, until the completion has no IORING_CQE_F_MORE. */
static void watch(int fd, int listener)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	check("submission queue", sqe ? 0 : -ENOSPC);
	if (fd == listener)
		io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	else
		io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, (unsigned)fd);
}

/* Waits for one completion at least, or for the deadline, and submits what was prepared. */
static void wait_for(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct __kernel_timespec timeout = {
		.tv_sec = (long long)(ns / 1000000000), .tv_nsec = (long long)(ns % 1000000000),
	};
	struct io_uring_cqe *cqe;
	int ret;

	ret = io_uring_submit_and_wait_timeout(&ring, &cqe, 1,
					       deadline_ns == ZCREQ_NEVER ? NULL : &timeout, NULL);
	check("ring", ret == -ETIME || ret == -EINTR || ret == -EBUSY ? 0 : ret);
}

static void serve(struct http *http, const struct io_uring_cqe *cqe, int listener, int quit)
{
	int fd = (int)cqe->user_data;

	if (fd == listener && cqe->res >= 0)
		http_serve(http, cqe->res);
	if (fd == quit) {
		quit_heard(quit);
		http_stop(http);
	} /* the context's: the next turn serves it */
	if (!(cqe->flags & IORING_CQE_F_MORE) && fd != quit)
		watch(fd, listener);
}

static void run(struct http *http, int listener, int quit)
{
	struct io_uring_cqe *cqe, copy;

	for (;;) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(http->context, now_ns);

		if (http->state == HTTP_OVER)
			break;
		wait_for(deadline_ns, now_ns);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			copy = *cqe;
			io_uring_cqe_seen(&ring, cqe);
			if (zcreq_uring_completion(uring, &copy) == 0)
				serve(http, &copy, listener, quit);
		}
	}
}

int main(int argc, char **argv)
{
	struct zcreq_uring_options options = {.size = sizeof(options), .ring = &ring, .tag = ZCREQ};
	struct zcreq_context *context;
	struct http http;
	int quit, listener, ret;

	if (argc != 3) {
		fprintf(stderr, "usage: http-uring FOLDER [ADDRESS:]PORT\n");
		return 2;
	}
	check("context", zcreq_context_new(NULL, &context));
	ret = io_uring_queue_init(256, &ring, 0);
	if (!ret)
		ret = zcreq_uring_new(context, &options, &uring);
	if (ret) {
		fprintf(stderr, "http-uring: no io_uring that sends without copying: %d\n", ret);
		return 77;
	}
	check(argv[1], http_init(&http, context, stream_open, argv[1]));
	quit = quit_fd();
	listener = listen_on(argv[2]);
	check("descriptor", zcreq_context_fd(context));
	watch(zcreq_context_fd(context), listener);
	watch(listener, listener);
	watch(quit, listener);

	run(&http, listener, quit);

	http_deinit(&http);
	check("ring", zcreq_uring_free(uring));
	io_uring_queue_exit(&ring);
	check("context", zcreq_context_free(context));
	close(listener);
	close(quit);
	return 0;
}
