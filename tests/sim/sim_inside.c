/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_inside.c - connections without a socket, and streams by sendmsg or a sender
 *
 * A program that sleeps on its context's descriptor has a poller, which is played here:
 * it waits for what connections told it, and tells in a turn what there is.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "core/check.h"
#include "core/poller.h"
#include "stream/check.h"
#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_nature.h"

/* Everything is claimed once in so many steps, a connection in each of fewer: what is
 * wrong stays wrong, and lives are short. */
#define ALL_CLAIMS 8
#define SOME_CLAIMS 4

/* ---- the poller of those that sleep ---- */

struct sim_poller {
	struct zcreq_poller poller; /* first */
	struct sim_world *world;
};

/* As epoll does: only where somebody waits, and for that. */
static bool poller_take(struct zcreq_poller *poller)
{
	struct sim_world *world = ((struct sim_poller *)poller)->world;
	bool listened = sim_listen(world, false);
	struct sim_conn *conn;
	short bits;

	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->conn || !conn->sock || !conn->conn->told_events)
			continue;
		bits = fake_socket_poll(conn->sock, conn->conn->told_events);
		world->spoke |= bits != 0;
		if (bits && zcreq_process(conn->conn, bits))
			sim_fail(world, "process failed");
	}
	sim_listen(world, listened);
	return false;
}

static uint64_t poller_follow(struct zcreq_poller *poller)
{
	struct zcreq_conn *conn;

	while ((conn = zcreq_conn_tell(poller->context)))
		conn->told_events = zcreq_events(conn);
	return ZCREQ_NEVER;
}

static void poller_free(struct zcreq_poller *poller)
{
	(void)poller;
}

static const struct zcreq_poller_ops poller_ops = { poller_take, poller_follow, poller_free };

void sim_inside_begin(struct sim_world *world)
{
	world->habit = (enum sim_habit)sim_choose(world, 3);
	sim_trace(world, "a program that %s",
		  world->habit == SIM_POLLS ? "polls" :
		  world->habit == SIM_GATHERS ? "gathers" : "sleeps");
	sim_detach_begin(world);
	if (world->habit != SIM_SLEEPS)
		return;
	world->poller = calloc(1, sizeof(*world->poller));
	if (!world->poller)
		abort();
	world->poller->world = world;
	world->poller->poller = (struct zcreq_poller){ &poller_ops, world->context, -1 };
	world->context->poller = &world->poller->poller;
}

void sim_inside_deinit(struct sim_world *world)
{
	free(world->poller);
}

/* ---- opening ---- */

static int open_bare(struct sim_conn *conn)
{
	struct zcreq_conn_options options = {
		.size = sizeof(options),
		.hooks = &sim_conn_hooks,
		.arg = conn,
	};

	return zcreq_conn_open(conn->world->context, &options, &conn->conn);
}

/* What a sender has to say makes callbacks due, and runs none. */
static bool listen_to_sender(struct sim_conn *conn)
{
	bool listened = sim_listen(conn->world, false);
	bool spoke = fake_sender_process(conn->sender);

	sim_listen(conn->world, listened);
	if (spoke)
		sim_trace(conn->world, "c%u's sender has spoken", conn->number);
	return spoke;
}

/* A sender that takes part in turns; it may try what waits for room, and say nothing. */
static int turn_sender(void *arg)
{
	struct sim_conn *conn = arg;
	uint64_t before, after, work;
	bool spoke;

	fake_kernel_effort(conn->world->kernel, &before, &work);
	spoke = listen_to_sender(conn);
	fake_kernel_effort(conn->world->kernel, &after, &work);
	conn->world->spoke |= spoke || after != before;
	return spoke;
}

/* Somebody else sends, and speaks when it likes; some so that nothing is due at once. */
static void through_sender(struct sim_conn *conn, struct zcreq_stream_options *options)
{
	struct sim_world *world = conn->world;
	struct fake_sender_knobs knobs = {
		.inside_of = (unsigned)sim_choose(world, 4),
		.waits = sim_chance(world, 1, 2),
		.error_of = (unsigned)sim_choose(world, 3),
		.batches_most = 256,
		.shuffles = sim_chance(world, 1, 2),
		.lies = sim_chance(world, 1, 4),
		.mute = !conn->lets_go && sim_chance(world, 1, 4),
		.no_reap = !conn->lets_go && sim_chance(world, 1, 3),
		.no_cancel = sim_chance(world, 1, 4),
		.seed = sim_choose(world, UINT32_MAX),
	};
	bool takes_part = sim_chance(world, 2, 3);

	knobs.puts_off = takes_part && sim_chance(world, 1, 2);
	conn->sender = fake_sender_new(conn->sock, &knobs);
	fake_sender_options(conn->sender, options);
	if (takes_part)
		conn->source = (struct zcreq_source){ .turn = turn_sender, .arg = conn };
}

/* I13: whoever does not say where ids go on is refused, if they may not be at 0. */
static void open_without_first_id(struct sim_conn *conn, struct zcreq_stream_options options)
{
	const struct fake_knobs *knobs = fake_socket_knobs(conn->sock);
	const int on = 1;
	int ret;

	if (options.sender || options.mode == ZCREQ_MODE_NEVER || !knobs->past_segments ||
	    fake_socket_ops.setsockopt(options.fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on),
				       conn->sock))
		return;
	options.flags = 0;
	options.first_id = 0;
	ret = zcreq_stream_open(conn->world->context, &options, &conn->conn);
	if (ret != -EBUSY && ret != -ENOMEM)
		sim_fail(conn->world, "I13: c%u: a socket with a past was opened: %d", conn->number,
			 ret);
}

static int open_stream(struct sim_conn *conn)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options),
		.hooks = &sim_conn_hooks,
		.arg = conn,
	};
	int ret;

	sim_nature_socket(conn, &options);
	if (sim_chance(conn->world, 2, 5))
		through_sender(conn, &options);
	else if (!conn->world->to_detach && sim_chance(conn->world, 1, 3))
		options.flags |= ZCREQ_STREAM_OWN_SENDS;
	conn->own = options.flags & ZCREQ_STREAM_OWN_SENDS;
	if (!conn->own)
		sim_detach_options(conn, &options);
	open_without_first_id(conn, options);
	ret = zcreq_stream_open(conn->world->context, &options, &conn->conn);
	if (ret && fake_socket_ops.close(options.fd, conn->sock))
		sim_fail(conn->world, "the descriptor was not left to the caller");
	if (ret)
		return ret;
	sim_nature_opened(conn);
	sim_detach_opened(conn);
	if (conn->world->poller)
		zcreq_conn_watch(conn->conn, true);
	if (conn->source.turn && zcreq_source_add(conn->world->context, &conn->source))
		sim_fail(conn->world, "the source was not taken");
	return 0;
}

void sim_inside_leave(struct sim_conn *conn)
{
	if (conn->source.turn && zcreq_source_remove(conn->world->context, &conn->source))
		sim_fail(conn->world, "the source was not there");
	conn->source.turn = NULL;
}

int sim_inside_open(struct sim_conn *conn)
{
	return !conn->world->to_detach && sim_chance(conn->world, 1, 12) ? open_bare(conn)
									 : open_stream(conn);
}

/* ---- what a program's loop does ---- */

void sim_inside_queued(struct sim_conn *conn)
{
	struct fake_socket_report report;

	fake_socket_report(conn->sock, &report);
	conn->sendmsg_calls = report.calls[FAKE_SENDMSG];
}

void sim_inside_poll(struct sim_conn *conn)
{
	short events;

	if (!conn->sock)
		return;
	if (conn->sender && !conn->source.turn)
		listen_to_sender(conn);
	sim_own_pump(conn);
	if (!conn->conn || conn->world->habit == SIM_SLEEPS)
		return;
	events = zcreq_events(conn->conn);
	conn->bits |= events ? fake_socket_poll(conn->sock, events) : 0;
}

void sim_inside_mistake(struct sim_conn *conn)
{
	uint64_t bits = sim_choose(conn->world, 256) & ~(uint64_t)(POLLHUP | POLLNVAL);

	if (conn->sock)
		conn->bits |= (short)bits;
}

/* Things may have changed since they were seen, and no callback comes. */
void sim_inside_hand_in(struct sim_world *world)
{
	bool listened = sim_listen(world, false);
	struct sim_conn *conn;
	short bits;

	LIST_FOREACH(conn, &world->conns, in_world) {
		bits = conn->bits;
		conn->bits = 0;
		if (!bits || !conn->conn)
			continue;
		sim_trace(world, "process c%u 0x%x", conn->number, (unsigned)bits);
		if (zcreq_process(conn->conn, bits))
			sim_fail(world, "process failed");
	}
	sim_listen(world, listened);
}

void sim_inside_claims(const struct sim_world *world)
{
	static enum { UNASKED, CLAIMS, CLAIMS_NOT } said;
	const struct sim_conn *conn;

	if (said == UNASKED)
		said = getenv("ZCREQ_SIM_OUTSIDE") ? CLAIMS_NOT : CLAIMS;
	if (said == CLAIMS_NOT)
		return;
	if (world->step % ALL_CLAIMS == 0) {
		zcreq_context_check(world->context);
		zcreq_streams_check(world->context);
		return;
	}
	LIST_FOREACH(conn, &world->conns, in_world) {
		if (conn->conn && zcreq_is_stream(conn->conn) &&
		    (conn->number + world->step) % SOME_CLAIMS == 0)
			zcreq_stream_check(zcreq_stream_of(conn->conn));
	}
}

/*
 * The one place that looks inside: these sums are asserted by the library when a
 * connection closes, and would be wrong long before.
 */
void sim_inside_check(const struct sim_conn *conn)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn->conn);
	struct fake_socket_report report;
	uint64_t unsent = 0;

	if (!zcreq_is_stream(conn->conn) || conn->heard_closed)
		return;
	fake_socket_report(conn->sock, &report);
	if (sim_conn_lives(conn) && !conn->own)
		unsent = conn->queued - conn->checked + report.untold_bytes;
	if (stream->queue.unsent_bytes != unsent)
		sim_fail(conn->world, "c%u: %llu bytes unsent, should be %llu", conn->number,
			 (unsigned long long)stream->queue.unsent_bytes, (unsigned long long)unsent);
	if (stream->ids.pending != report.ids_unproven)
		sim_fail(conn->world, "I2: c%u waits for %u ids, should be for %llu", conn->number,
			 stream->ids.pending, (unsigned long long)report.ids_unproven);
	if (stream->queue.held_bytes < unsent ||
	    (!stream->queue.held_bytes != (stream->queue.head == stream->queue.tail)))
		sim_fail(conn->world, "c%u: %llu bytes held by %u sends, %llu unsent", conn->number,
			 (unsigned long long)stream->queue.held_bytes,
			 stream->queue.tail - stream->queue.head, (unsigned long long)unsent);
}

/*
 * What was queued has been tried since, unless memory is short or its sender or socket is
 * to speak first. What the socket has to say, the program or its poller waits for; after
 * the end of the connection time does, and so it does with the ends of both sides on their
 * way, until the peer has ours and all is proven.
 */
void sim_inside_quiet(const struct sim_conn *conn, uint64_t deadline_ns)
{
	const struct zcreq_stream *stream = zcreq_stream_of(conn->conn);
	short waits = conn->world->poller ? conn->conn->told_events : zcreq_events(conn->conn);
	struct fake_socket_report report;
	bool put_off = zcreq_stream_put_off(stream);
	short bits;

	if (conn->heard_closed)
		return;
	fake_socket_report(conn->sock, &report);
	if (waits != zcreq_events(conn->conn))
		sim_fail(conn->world, "I10: c%u: events %d, its poller was told %d",
			 conn->number, zcreq_events(conn->conn), waits);
	if (!sim_conn_lives(conn)) {
		if (report.ids_unproven && deadline_ns == ZCREQ_NEVER)
			sim_fail(conn->world, "I10: c%u waits for proof, and for no time",
				 conn->number);
		return;
	}
	if (put_off && deadline_ns == ZCREQ_NEVER)
		sim_fail(conn->world, "I10: c%u puts off sending for ever", conn->number);
	if (stream->queue.unsent_bytes && !put_off && !conn->sender &&
	    report.calls[FAKE_SENDMSG] == conn->sendmsg_calls)
		sim_fail(conn->world, "I10: c%u: what was queued was not tried", conn->number);
	if (stream->queue.unsent_bytes && !put_off && conn->sender &&
	    stream->sending.turn == ZCREQ_SENDER_TURN_OURS)
		sim_fail(conn->world, "I10: c%u submits nothing, and nothing is under way",
			 conn->number);
	bits = fake_socket_poll(conn->sock, POLLOUT);
	if (conn->own && stream->queue.unsent_bytes)
		sim_fail(conn->world, "c%u: an offer without its report", conn->number);
	if (conn->own && conn->wants_room && bits & POLLOUT && !(waits & POLLOUT) && !put_off &&
	    !stream->room_below_bytes)
		sim_fail(conn->world, "I10: c%u has room, and its program waits for it",
			 conn->number);
	if (stream->queue.unsent_bytes && bits & POLLOUT && !(waits & POLLOUT) && !put_off &&
	    !zcreq_stream_lent(stream))
		sim_fail(conn->world, "I10: c%u has room, for which nobody waits", conn->number);
	if (bits & POLLERR && !waits && !(bits & POLLHUP && report.fin_sent))
		sim_fail(conn->world, "I10: c%u has messages, for which nobody waits",
			 conn->number);
	if (!waits && deadline_ns == ZCREQ_NEVER && (!report.fin_acked || report.ids_unproven))
		sim_fail(conn->world, "I10: c%u has ended, and waits for no time", conn->number);
}
