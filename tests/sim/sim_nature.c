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

#include "sim_nature.h"

static uint64_t below(struct sim_world *world, uint64_t limit)
{
	return sim_random_below(&world->random, limit);
}

static bool chance(struct sim_world *world, unsigned parts, unsigned whole)
{
	return sim_random_chance(&world->random, parts, whole);
}

static void peer_event(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;

	switch (below(world, 8)) {
	case 0:
	case 1:
	case 2:
		fake_socket_ack(conn->sock, below(world, 2) ? FAKE_NEVER : below(world, 5000));
		break;
	case 3:
		fake_socket_window(conn->sock, chance(world, 1, 3) ? below(world, 2000) :
								     FAKE_NEVER);
		break;
	case 4:
		fake_socket_copy_out(conn->sock, below(world, 9000));
		break;
	case 5:
		if (chance(world, 1, 12))
			fake_socket_kill(conn->sock, chance(world, 1, 2) ? ECONNRESET : EPIPE);
		break;
	case 6:
		if (chance(world, 1, 6))
			fake_socket_vanish(conn->sock);
		else
			fake_socket_return(conn->sock);
		break;
	default:
		fake_socket_hear(conn->sock);
	}
}

static void hook(struct fake_socket *sock, enum fake_call call, void *arg)
{
	struct sim_conn *conn = arg;

	(void)sock;
	if (call != FAKE_CLOSE && call != FAKE_GETSOCKOPT && chance(conn->world, 1, 6))
		peer_event(conn);
}

static void knobs_by_chance(struct sim_world *world, struct fake_knobs *knobs)
{
	static const uint32_t ids[] = { 0, 0, UINT32_MAX - 2, UINT32_MAX, 1u << 31 };

	fake_socket_knobs_init(knobs);
	knobs->family = (enum fake_family)below(world, 3);
	knobs->seed = sim_random_next(&world->random);
	knobs->first_id = ids[below(world, 5)];
	knobs->sndbuf_bytes = 1 + below(world, chance(world, 1, 3) ? 300 : 200000);
	if (chance(world, 1, 4))
		knobs->accept_bytes = 1 + below(world, 700);
	if (chance(world, 1, 2))
		knobs->record_bytes = below(world, 2) ? 524288 : 3000;
	if (chance(world, 1, 10))
		knobs->zerocopy_refused = EOPNOTSUPP;
	if (chance(world, 1, 10))
		knobs->zerocopy_error = ENOBUFS;
	if (chance(world, 1, 6))
		knobs->locked_pages = 3 + below(world, 16);
	if (chance(world, 1, 6))
		knobs->optmem_bytes = 832 * (1 + below(world, 6));
	knobs->copies = chance(world, 1, 10);
	knobs->auto_ack = chance(world, 1, 10);
	if (chance(world, 1, 2))
		knobs->cwnd_bytes = 1 + below(world, 20000);
	knobs->rtt_ms = below(world, 2) ? 0 : below(world, 200);
	knobs->probe_limit_ms = below(world, 2) ? 0 : 500;
	knobs->coalesce = !chance(world, 1, 5);
	knobs->post_twice = chance(world, 1, 12);
	knobs->death_order = (enum fake_death_order)below(world, 4);
}

/* A kernel that keeps pages for a while, or for ever. */
static void make_clinging(struct sim_conn *conn, struct fake_knobs *knobs)
{
	struct sim_world *world = conn->world;

	conn->lets_go = false;
	switch (below(world, 4)) {
	case 0:
		knobs->disconnect_error = chance(world, 1, 2) ? EBUSY : EOPNOTSUPP;
		break;
	case 1:
		knobs->disconnect_busy = 1 + (unsigned)below(world, 5);
		break;
	default:
		knobs->qdisc_bytes = below(world, 2) ? FAKE_NEVER : below(world, 3000);
		knobs->qdisc_ms = below(world, 3) ? 1 + below(world, 9000) : FAKE_NEVER;
	}
}

void sim_nature_socket(struct sim_conn *conn, struct zcreq_stream_options *options)
{
	struct sim_world *world = conn->world;
	struct fake_knobs knobs;

	knobs_by_chance(world, &knobs);
	if (chance(world, 2, 5))
		make_clinging(conn, &knobs);
	conn->sock = fake_socket_new(world->kernel, &knobs);
	conn->racy = chance(world, 1, 4);
	options->fd = fake_socket_fd(conn->sock);
	options->socket_ops = &fake_socket_ops;
	options->socket_arg = conn->sock;
	options->mode = (enum zcreq_mode)below(world, 3);
	if (options->mode == ZCREQ_MODE_ALWAYS && knobs.zerocopy_refused)
		options->mode = ZCREQ_MODE_AUTO;
	options->threshold_bytes = 1 + (uint32_t)below(world, 4000);
	if (chance(world, 1, 3))
		options->limit_bytes = 1 + below(world, 60000);
	if (chance(world, 1, 2)) {
		options->stall_ms = 500 + (uint32_t)below(world, 3000);
		if (chance(world, 1, 2))
			options->not_reading_ms = options->stall_ms + (uint32_t)below(world, 9000);
	}
	if (chance(world, 1, 5))
		options->user_timeout_ms = 1000 + (uint32_t)below(world, 5000);
	options->linger_ms = chance(world, 1, 2) ? 1 + (uint32_t)below(world, 4000) : 0;
	options->first_id = knobs.first_id;
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
	struct sim_world *world = conn->world;
	unsigned nth = 1 + (unsigned)below(world, 4);
	unsigned times = 1 + (unsigned)below(world, 3);

	switch (below(world, 7)) {
	case 0:
	case 1:
		fake_socket_fail(conn->sock, FAKE_SENDMSG, nth, times, send_errors[below(world, 5)]);
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
	default:
		if (conn->lets_go)
			break;
		fake_socket_fail(conn->sock, chance(world, 1, 2) ? FAKE_DISCONNECT : FAKE_SHUTDOWN,
				 nth, times, chance(world, 1, 2) ? EBUSY : EINTR);
	}
}

static void foreign_message(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	uint32_t id = (uint32_t)sim_random_next(&world->random);
	struct fake_socket_report report;

	fake_socket_report(conn->sock, &report);
	switch (below(world, 5)) {
	case 0:
		fake_socket_post_timestamp(conn->sock, below(world, 400));
		break;
	case 1:
		fake_socket_post_icmp(conn->sock, below(world, 400), 0);
		break;
	case 2:
		/* Far beyond what is given before this is read: proof of nothing. */
		id = report.next_id + (1u << 30) + id % 1000;
		fake_socket_post(conn->sock, id, id + (uint32_t)below(world, 1u << 28), false);
		break;
	case 3:
		/* Everything in flight and all the rest of the circle: refused as a whole. */
		fake_socket_post(conn->sock, report.next_id + 1000, report.next_id + 998, false);
		break;
	default:
		fake_socket_post_raw(conn->sock, &id, below(world, 2) ? sizeof(id) : 0);
	}
}

static struct sim_conn *any_socket(struct sim_world *world)
{
	struct sim_conn *conn;
	unsigned n = 0;

	for (conn = world->conns; conn; conn = conn->next)
		n += conn->sock != NULL;
	n = (unsigned)below(world, n);
	for (conn = world->conns; conn; conn = conn->next)
		if (conn->sock && !n--)
			return conn;
	return NULL;
}

static void pin_something(struct sim_conn *conn)
{
	struct fake_socket_report report;

	if (conn->lets_go)
		return;
	fake_socket_report(conn->sock, &report);
	if (chance(conn->world, 1, 2))
		fake_socket_let_go(conn->sock, 2);
	else
		fake_socket_pin(conn->sock, report.next_id - 1 - (uint32_t)below(conn->world, 5));
}

void sim_nature_act(struct sim_world *world)
{
	struct sim_conn *conn = any_socket(world);
	unsigned pick = (unsigned)below(world, 12);

	if (!conn || pick < 2) {
		fake_kernel_advance_ms(world->kernel, below(world, pick ? 40 : 1500));
		return;
	}
	if (pick == 2)
		plan_failure(conn);
	else if (pick == 3)
		foreign_message(conn);
	else if (pick == 4)
		pin_something(conn);
	else if (pick == 5)
		fake_socket_knobs(conn->sock)->accept_once_bytes = below(world, 200);
	else
		peer_event(conn);
}
