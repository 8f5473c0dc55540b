/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_nature.c - what kernel, network and peer do by chance
 *
 * A socket is given a character when it is made: how much it takes, how it tells,
 * and whether its kernel lets go. Half of them are *lets_go*: whatever happens,
 * every page comes back at once when the connection dies, and the model then
 * insists on I5. A *racy* one is also changed in the middle of the library's own
 * calls, through the hook.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sim/sim_nature.h"

/* of failures, for up to three calls each */
#define MOST_PLANS 5

/* All of them, or some. */
static uint64_t some_bytes(struct sim_world *world, uint64_t limit)
{
	return sim_chance(world, 1, 2) ? sim_choose(world, limit) : FAKE_NEVER;
}

/* Open, closed, or small. */
static uint64_t some_window(struct sim_world *world)
{
	if (!sim_chance(world, 1, 3))
		return FAKE_NEVER;
	return sim_chance(world, 1, 2) ? sim_choose(world, 2000) : 0;
}

static void peer_event(struct sim_conn *conn)
{
	static const int deaths[] = { ECONNRESET, EPIPE, ETIMEDOUT, ECONNABORTED };
	static const char *const names[] = { "acknowledges", "acknowledges", "acknowledges",
					     "window", "copy", "death?", "vanishes, or is back",
					     "is heard" };
	struct sim_world *world = conn->world;
	uint64_t what = sim_choose(world, 8);

	sim_trace(world, "peer of c%u: %s", conn->number, names[what]);
	switch (what) {
	case 0:
	case 1:
	case 2:
		fake_socket_ack(conn->sock, some_bytes(world, 5000));
		break;
	case 3:
		fake_socket_window(conn->sock, some_window(world));
		break;
	case 4:
		fake_socket_copy_out(conn->sock, sim_choose(world, 9000));
		break;
	case 5:
		if (sim_chance(world, 1, 16))
			fake_socket_kill(conn->sock, deaths[sim_choose(world, 4)]);
		break;
	case 6:
		if (sim_chance(world, 1, 6))
			fake_socket_vanish(conn->sock);
		else
			fake_socket_return(conn->sock);
		break;
	default:
		if (sim_chance(world, 1, 12))
			fake_socket_peer_fin(conn->sock);
		else if (sim_chance(world, 1, 8))
			fake_socket_peer_says(conn->sock, 1);
		else
			fake_socket_hear(conn->sock);
	}
}

static void hook(struct fake_socket *sock, enum fake_call call, void *arg)
{
	struct sim_conn *conn = arg;

	(void)sock;
	if (call != FAKE_CLOSE && call != FAKE_GETSOCKOPT && sim_chance(conn->world, 1, 6))
		peer_event(conn);
}

static void knobs_by_chance(struct sim_world *world, struct fake_knobs *knobs)
{
	static const uint32_t ids[] = { 0, UINT32_MAX, UINT32_MAX - 2, UINT32_MAX - 40 };

	fake_socket_knobs_init(knobs);
	knobs->family = (enum fake_family)sim_choose(world, 3);
	knobs->seed = sim_choose(world, UINT32_MAX);
	knobs->first_id = sim_chance(world, 1, 4) ? (uint32_t)sim_choose(world, UINT32_MAX) :
						    ids[sim_choose(world, 4)];
	knobs->sndbuf_bytes = sim_chance(world, 1, 6) ? 1 + sim_choose(world, 300) :
							 300000 - sim_choose(world, 299999);
	if (sim_chance(world, 1, 8))
		knobs->accept_bytes = 100 + sim_choose(world, 700);
	if (sim_chance(world, 1, 2))
		knobs->record_bytes = sim_chance(world, 1, 2) ? 3000 : 524288;
	if (sim_chance(world, 1, 10))
		knobs->zerocopy_refused = EOPNOTSUPP;
	knobs->past_segments = knobs->first_id;
	if (sim_chance(world, 1, 10))
		knobs->zerocopy_error = ENOBUFS;
	if (sim_chance(world, 1, 6))
		knobs->locked_pages = 3 + sim_choose(world, 16);
	if (sim_chance(world, 1, 6))
		knobs->optmem_bytes = 832 * (1 + sim_choose(world, 6));
	knobs->copies = sim_chance(world, 1, 10);
	knobs->auto_ack = sim_chance(world, 1, 10);
	if (sim_chance(world, 1, 2))
		knobs->cwnd_bytes = 1 + sim_choose(world, 20000);
	knobs->rtt_ms = sim_chance(world, 1, 2) ? sim_choose(world, 200) : 0;
	knobs->probe_limit_ms = sim_chance(world, 1, 2) ? 500 : 0;
	knobs->coalesce = !sim_chance(world, 1, 5);
	knobs->post_twice = sim_chance(world, 1, 12);
	knobs->death_order = (enum fake_death_order)sim_choose(world, 4);
}

/* A kernel that keeps pages for a while, or for ever. */
static void make_clinging(struct sim_conn *conn, struct fake_knobs *knobs)
{
	struct sim_world *world = conn->world;

	conn->lets_go = false;
	switch (sim_choose(world, 4)) {
	case 0:
		knobs->disconnect_error = sim_chance(world, 1, 2) ? EBUSY : EOPNOTSUPP;
		break;
	case 1:
		knobs->disconnect_busy = 1 + (unsigned)sim_choose(world, 5);
		break;
	default:
		knobs->qdisc_bytes = some_bytes(world, 3000);
		knobs->qdisc_ms = sim_chance(world, 1, 3) ? FAKE_NEVER :
							    1 + sim_choose(world, 9000);
	}
}

void sim_nature_socket(struct sim_conn *conn, struct zcreq_stream_options *options)
{
	struct sim_world *world = conn->world;
	struct fake_knobs knobs;

	knobs_by_chance(world, &knobs);
	if (sim_chance(world, 2, 5))
		make_clinging(conn, &knobs);
	conn->sock = fake_socket_new(world->kernel, &knobs);
	conn->racy = sim_chance(world, 1, 4);
	options->fd = fake_socket_fd(conn->sock);
	options->socket_ops = &fake_socket_ops;
	options->socket_arg = conn->sock;
	options->mode = (enum zcreq_mode)sim_choose(world, 3);
	if (options->mode == ZCREQ_MODE_ALWAYS && knobs.zerocopy_refused)
		options->mode = ZCREQ_MODE_AUTO;
	options->threshold_bytes = 1 + (uint32_t)sim_choose(world, 4000);
	if (sim_chance(world, 1, 3))
		options->limit_bytes = 1 + sim_choose(world, 60000);
	if (sim_chance(world, 1, 2)) {
		options->stall_ms = 500 + (uint32_t)sim_choose(world, 3000);
		if (sim_chance(world, 1, 2))
			options->not_reading_ms = options->stall_ms + (uint32_t)sim_choose(world, 9000);
		if (sim_chance(world, 1, 6))
			options->idle_ms = 2000 + (uint32_t)sim_choose(world, 9000);
	}
	if (sim_chance(world, 1, 5))
		options->user_timeout_ms = 1000 + (uint32_t)sim_choose(world, 5000);
	options->linger_ms = sim_chance(world, 1, 2) ? 1 + (uint32_t)sim_choose(world, 4000) : 0;
	options->first_id = knobs.first_id;
	options->flags = ZCREQ_STREAM_FIRST_ID;
	conn->stall_ms = options->stall_ms;
	conn->linger_ms = options->linger_ms ? options->linger_ms : 5000;
}

void sim_nature_opened(struct sim_conn *conn)
{
	if (conn->racy)
		fake_socket_set_hook(conn->sock, hook, conn);
}

/* System calls that fail; those that prove or end anything only where pages may stay. */
static void plan_failure(struct sim_conn *conn)
{
	static const int send_errors[] = { EINTR, EAGAIN, ENOBUFS, ENOMEM, EINTR };
	static const enum fake_call last_calls[] = { FAKE_DISCONNECT, FAKE_SHUTDOWN, FAKE_RECVMSG };
	static const int last_errors[] = { EBUSY, EINTR, ENOMEM };
	struct sim_world *world = conn->world;
	unsigned nth = 1 + (unsigned)sim_choose(world, 4);
	unsigned times = 1 + (unsigned)sim_choose(world, 3);

	/* never 16 interruptions in a row, after which the library leaves it for later */
	if (fake_socket_planned(conn->sock) >= MOST_PLANS)
		return;
	sim_trace(world, "calls on c%u will fail", conn->number);
	switch (sim_choose(world, 8)) {
	case 0:
	case 1:
		fake_socket_fail(conn->sock, FAKE_SENDMSG, nth, times, send_errors[sim_choose(world, 5)]);
		break;
	case 2:
		fake_socket_fail(conn->sock, FAKE_RECVMSG, nth, times, EINTR);
		break;
	case 3:
		fake_socket_fail(conn->sock, FAKE_GETSOCKOPT, nth, times, ENOMEM);
		break;
	case 4:
		fake_socket_fail(conn->sock, FAKE_CLOSE, 1, 1, EINTR);
		break;
	case 5:
		fake_socket_fail(conn->sock, FAKE_SETSOCKOPT, nth, times, EINVAL);
		break;
	default:
		if (!conn->lets_go)
			fake_socket_fail(conn->sock, last_calls[sim_choose(world, 3)], nth, times,
					 last_errors[sim_choose(world, 3)]);
	}
}

static void foreign_message(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	uint32_t id = (uint32_t)sim_choose(world, UINT32_MAX);
	struct fake_socket_report report;

	sim_trace(world, "a foreign message for c%u", conn->number);
	fake_socket_report(conn->sock, &report);
	switch (sim_choose(world, 5)) {
	case 0:
		fake_socket_post_timestamp(conn->sock, sim_choose(world, 400));
		break;
	case 1:
		fake_socket_post_icmp(conn->sock, sim_choose(world, 400),
				      sim_chance(world, 1, 16) ? EHOSTUNREACH : 0);
		break;
	case 2:
		/* Far beyond what is given before this is read, or, where that would be a call
		 * of which nobody told, long ago: proof of nothing. */
		id = report.next_id + (conn->own ? 2u << 30 : 1u << 30) + id % 1000;
		fake_socket_post(conn->sock, id, id + (uint32_t)sim_choose(world, 1u << 28), false);
		break;
	case 3:
		/* Everything in flight and all the rest of the circle: refused as a whole. */
		if (!conn->own || sim_chance(world, 1, 8))
			fake_socket_post(conn->sock, report.next_id + 1000, report.next_id + 998,
					 false);
		break;
	default:
		fake_socket_post_raw(conn->sock, &id, sim_choose(world, sizeof(id) + 1));
	}
}

static struct sim_conn *any_socket(struct sim_world *world)
{
	uint64_t n = sim_choose(world, world->active);
	struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (!n--)
			return conn->sock ? conn : NULL;
	return NULL;
}

static void pin_something(struct sim_conn *conn)
{
	struct fake_socket_report report;

	if (conn->lets_go)
		return;
	sim_trace(conn->world, "a page of c%u held elsewhere, or let go", conn->number);
	fake_socket_report(conn->sock, &report);
	if (sim_chance(conn->world, 1, 2))
		fake_socket_let_go(conn->sock, 2);
	else
		fake_socket_pin(conn->sock, report.next_id - 1 - (uint32_t)sim_choose(conn->world, 5));
}

static void time_passes(struct sim_world *world)
{
	uint64_t ms = sim_choose(world, sim_chance(world, 1, 2) ? 1500 : 40);

	sim_trace(world, "%llu ms pass", (unsigned long long)ms);
	fake_kernel_advance_ms(world->kernel, ms);
}

void sim_nature_act(struct sim_world *world)
{
	struct sim_conn *conn = any_socket(world);
	unsigned pick = (unsigned)sim_choose(world, 12);

	if (!conn || pick > 9) {
		time_passes(world);
		return;
	}
	switch (pick) {
	case 6:
		plan_failure(conn);
		break;
	case 7:
		foreign_message(conn);
		break;
	case 8:
		pin_something(conn);
		break;
	case 9:
		sim_trace(world, "c%u accepts little, once", conn->number);
		fake_socket_knobs(conn->sock)->accept_once_bytes = sim_choose(world, 200);
		break;
	default:
		peer_event(conn);
	}
}
