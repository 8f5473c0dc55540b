/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain_zcreq.c - the library, in each mode, through the socket and through a ring
 *
 * A send is a request of its own. With a turn for each, each is a call of sendmsg(2) of its
 * own, as by hand. The ways that batch give half of what may be in flight to one turn, and
 * the library up to 256 KiB of it to one call.
 */
#include "gain.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#ifdef BENCH_RING
#include <zcreq/uring.h>
#endif
#include <zcreq/zcreq.h>

struct library {
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	struct zcreq_uring *uring;
};

static void released(zcreq_id id, int status, void *arg)
{
	struct sender *sender = arg;

	(void)id;
	sender->inflight--;
	sender->sent += status ? 0 : sender->bytes;
	if (status && status != -ECANCELED)
		check(status);
}

static const struct zcreq_request_hooks hooks = {.released = released};

#ifdef BENCH_RING
static void open_uring(struct sender *sender, const struct zcreq_stream_options *o)
{
	const struct iovec pool = {sender->pool, POOL_BYTES};
	struct library *library = sender->own;

	check(zcreq_uring_new(library->context, NULL, &library->uring));
	if (sender->way->registered)
		check(zcreq_uring_register(library->uring, &pool, 1));
	check(zcreq_uring_stream_open(library->uring, library->context, o, &library->conn));
}
#endif

static void open_library(struct sender *sender)
{
	const struct zcreq_stream_options o = {
		.size = sizeof(o), .fd = sender->fd, .mode = sender->way->mode,
		.threshold_bytes = sender->way->mode == ZCREQ_MODE_AUTO ? sender->threshold : 0,
	};
	struct library *library = calloc(1, sizeof(*library));

	if (!library)
		die("gain: memory");
	sender->own = library;
	check(zcreq_context_new(NULL, &library->context));
#ifdef BENCH_RING
	if (sender->way->ring) {
		open_uring(sender, &o);
		return;
	}
#endif
	check(zcreq_stream_open(library->context, &o, &library->conn));
}

static void add(struct sender *sender)
{
	struct library *library = sender->own;
	const struct iovec iov = {sender_next(sender), sender->bytes};

	check(zcreq_send(library->conn, &hooks, sender, &iov, 1, 0, NULL));
	sender_step(sender);
	sender->inflight++;
}

/* Sleeps until something happens. The socket is asked itself, which is one system call less;
 * a ring has a descriptor of the context's. */
static void wait_for(struct sender *sender, uint64_t now_ns, uint64_t deadline_ns)
{
	struct library *library = sender->own;
	int ms = deadline_ns == ZCREQ_NEVER ? 10000 : zcreq_timeout_ms(deadline_ns, now_ns);
	struct pollfd p = {sender->fd, 0, 0};

	if (library->uring)
		p = (struct pollfd){zcreq_context_fd(library->context), POLLIN, 0};
	else
		p.events = zcreq_events(library->conn);
	if (poll(&p, 1, ms) == 0 && deadline_ns == ZCREQ_NEVER)
		check(-ETIMEDOUT);
	if (!library->uring)
		check(zcreq_process(library->conn, p.revents));
}

/* Turns, once, and until no more than @most are in flight. */
static void turn_until(struct sender *sender, unsigned most)
{
	struct library *library = sender->own;
	uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(library->context, now_ns);

	while (sender->inflight > most) {
		wait_for(sender, now_ns, deadline_ns);
		now_ns = zcreq_now_ns();
		deadline_ns = zcreq_turn(library->context, now_ns);
	}
}

static void run_library(struct sender *sender, uint64_t end_ns)
{
	const bool batches = sender->way->batches;
	const unsigned most = batches ? sender->most / 2 : sender->most - 1;

	for (unsigned n = 0; n % 16 || zcreq_now_ns() < end_ns; n += batches ? 16 : 1) {
		do
			add(sender);
		while (batches && sender->inflight < sender->most);
		turn_until(sender, most);
	}
	turn_until(sender, 0);
}

static void close_library(struct sender *sender)
{
	struct library *library = sender->own;

	check(zcreq_conn_abort(library->conn, -ECANCELED));
	while (zcreq_conn_state(library->conn) != ZCREQ_CONN_CLOSED)
		zcreq_turn(library->context, zcreq_now_ns());
	zcreq_conn_free(library->conn);
#ifdef BENCH_RING
	while (zcreq_uring_free(library->uring))
		zcreq_turn(library->context, zcreq_now_ns());
#endif
	while (zcreq_context_free(library->context))
		zcreq_turn(library->context, zcreq_now_ns());
	free(library);
}

#define LIBRARY(name, ...) {name, open_library, run_library, close_library, __VA_ARGS__}

const struct way way_never = LIBRARY("never", ZCREQ_MODE_NEVER, 0, 0, 0);
const struct way way_always = LIBRARY("always", ZCREQ_MODE_ALWAYS, 0, 0, 0);
const struct way way_auto = LIBRARY("auto", ZCREQ_MODE_AUTO, 0, 0, 0);
const struct way way_never_again = LIBRARY("never-again", ZCREQ_MODE_NEVER, 0, 0, 0);
const struct way way_never_batch = LIBRARY("never+batch", ZCREQ_MODE_NEVER, 0, 0, 1);
const struct way way_always_batch = LIBRARY("always+batch", ZCREQ_MODE_ALWAYS, 0, 0, 1);
const struct way way_auto_batch = LIBRARY("auto+batch", ZCREQ_MODE_AUTO, 0, 0, 1);
const struct way way_never_batch_again = LIBRARY("never-again+batch", ZCREQ_MODE_NEVER, 0, 0, 1);
const struct way way_uring = LIBRARY("uring", ZCREQ_MODE_ALWAYS, 1, 0, 1);
const struct way way_uring_fixed = LIBRARY("uring+reg", ZCREQ_MODE_ALWAYS, 1, 1, 1);
const struct way way_uring_never = LIBRARY("uring-never", ZCREQ_MODE_NEVER, 1, 0, 1);
const struct way way_uring_never_again = LIBRARY("uring-never-again", ZCREQ_MODE_NEVER, 1, 0, 1);
const struct way way_uring_auto = LIBRARY("uring-auto", ZCREQ_MODE_AUTO, 1, 0, 1);
