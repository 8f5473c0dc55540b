/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_actions.c - what a caller does, by chance, also from inside callbacks
 *
 * Every action says beforehand what the library has to answer, from the model
 * alone. What the kernel does by chance is in sim_nature.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "sim_nature.h"
#include "sim_world.h"

static const int errors[] = { -EIO, -ECANCELED, -ETIMEDOUT, -EINVAL };

static uint64_t below(struct sim_world *world, uint64_t limit)
{
	return sim_random_below(&world->random, limit);
}

static bool chance(struct sim_world *world, unsigned parts, unsigned whole)
{
	return sim_random_chance(&world->random, parts, whole);
}

static struct sim_conn *any_conn(struct sim_world *world)
{
	struct sim_conn *conn;
	unsigned n = 0;

	for (conn = world->conns; conn; conn = conn->next)
		n += conn->conn != NULL;
	n = (unsigned)below(world, n);
	for (conn = world->conns; conn; conn = conn->next)
		if (conn->conn && !n--)
			return conn;
	return NULL;
}

/* Mostly one that still lives, sometimes a dead one for the sake of its handle. */
static struct sim_request *any_request(struct sim_world *world)
{
	struct sim_request *request;
	bool dead = chance(world, 1, 12);
	unsigned n = 0;

	for (request = world->requests; request; request = request->next)
		n += dead || !request->heard_released;
	n = (unsigned)below(world, n);
	for (request = world->requests; request; request = request->next)
		if ((dead || !request->heard_released) && !n--)
			return request;
	return NULL;
}

static void do_open(struct sim_world *world)
{
	struct zcreq_conn_options plain = { .size = sizeof(plain), .hooks = &sim_conn_hooks };
	struct zcreq_stream_options options = { .size = sizeof(options) };
	struct sim_conn *conn;
	unsigned alive = 0;
	int ret;

	for (conn = world->conns; conn; conn = conn->next)
		alive += conn->conn != NULL;
	if (alive >= SIM_CONNS)
		return;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		abort();
	conn->world = world;
	conn->number = world->conn_count;
	conn->lets_go = true;
	plain.arg = conn;
	if (chance(world, 1, 8)) {
		ret = zcreq_conn_open(world->context, &plain, &conn->conn);
	} else {
		sim_nature_socket(conn, &options);
		options.hooks = &sim_conn_hooks;
		options.arg = conn;
		ret = zcreq_stream_open(world->context, &options, &conn->conn);
	}
	sim_trace(world, "open c%u%s%s: %d", conn->number, conn->sock ? "" : " plain",
		  conn->lets_go ? "" : " clings", ret);
	if (ret) {
		if (ret != -ENOMEM || !world->fault.failed)
			sim_fail(world, "open says %d", ret);
		if (conn->sock && fake_socket_ops.close(fake_socket_fd(conn->sock), conn->sock))
			sim_fail(world, "the descriptor was not left to the caller");
		free(conn);
		return;
	}
	sim_nature_opened(conn);
	conn->next = world->conns;
	world->conns = conn;
	world->conn_count++;
}

static void do_begin(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	struct sim_request *request;
	int state, ret;

	if (!conn || conn->live >= 40)
		return;
	request = calloc(1, sizeof(*request));
	if (!request)
		abort();
	request->conn = conn;
	request->number = world->request_count;
	state = zcreq_conn_state(conn->conn);
	ret = zcreq_begin(conn->conn, &sim_request_ops, request, &request->id);
	sim_trace(world, "begin r%u on c%u: %d", request->number, conn->number, ret);
	if (ret) {
		if (state != ZCREQ_CONN_OPEN ? ret != -ESHUTDOWN :
					       ret != -ENOMEM || !world->fault.failed)
			sim_fail(world, "begin says %d in state %d", ret, state);
		free(request);
		return;
	}
	if (state != ZCREQ_CONN_OPEN)
		sim_fail(world, "begin on a connection in state %d", state);
	request->next = world->requests;
	world->requests = request;
	world->request_count++;
	conn->live++;
}

/* What a use of the request must answer, 0 if it may go on. */
static int expected_use(const struct sim_request *request)
{
	if (request->finished || request->heard_released)
		return -ESTALE;
	if (request->withdrawn || !sim_conn_lives(request->conn))
		return -ECANCELED;
	return 0;
}

static size_t some_size(struct sim_world *world)
{
	static const unsigned sizes[] = { 4, 64, 600, 5000, 40000 };

	return 1 + below(world, sizes[below(world, 5)]);
}

static int make_iovecs(struct sim_world *world, struct iovec *iov, uint8_t *memory, size_t len)
{
	int n = 0;
	size_t part;

	while (len && n < 7) {
		part = below(world, len + 1);
		iov[n].iov_base = memory;
		iov[n++].iov_len = part;
		memory += part;
		len -= part;
	}
	iov[n].iov_base = memory;
	iov[n++].iov_len = len;
	return n;
}

static void do_send(struct sim_world *world)
{
	struct sim_request *request = any_request(world);
	int expected, ret, n;
	struct iovec iov[8];
	uint8_t *memory;
	size_t i, len;

	if (!request || !request->conn->conn || request->buffer_count == SIM_BUFFERS)
		return;
	if (!request->conn->sock)
		return;
	len = some_size(world);
	memory = malloc(len);
	if (!memory)
		abort();
	for (i = 0; i < len; i++)
		memory[i] = (uint8_t)(request->number * 31 + request->buffer_count * 7 + i);
	n = make_iovecs(world, iov, memory, len);
	expected = expected_use(request);
	world->stale += expected == -ESTALE;
	ret = zcreq_send(request->conn->conn, request->id, iov, n, 0);
	sim_trace(world, "send r%u c%u %zu bytes in %d: %d", request->number,
		  request->conn->number, len, n, ret);
	memset(iov, 0xee, sizeof(iov));
	if (expected ? ret != expected : ret && ret != -EAGAIN && ret != -ENOMEM)
		sim_fail(world, "send says %d, should be %d", ret, expected);
	if (ret == -ENOMEM && !world->fault.failed)
		sim_fail(world, "send has no memory");
	if (ret) {
		request->conn->wants_room |= ret == -EAGAIN;
		free(memory);
		return;
	}
	sim_entry_add(request->conn, request, memory, len);
	request->buffers[request->buffer_count].memory = memory;
	request->buffers[request->buffer_count++].len = len;
}

static void write_one(struct sim_world *world, struct sim_conn *conn)
{
	uint8_t bytes[300];
	bool lives;
	size_t len;
	int ret;

	len = 1 + below(world, sizeof(bytes));
	memset(bytes, 'w' + (int)len, len);
	lives = sim_conn_lives(conn);
	ret = zcreq_write(conn->conn, bytes, len);
	sim_trace(world, "write c%u %zu: %d", conn->number, len, ret);
	if (!lives ? ret != -ESHUTDOWN : ret && ret != -EAGAIN && ret != -ENOMEM)
		sim_fail(world, "write says %d, alive %d", ret, lives);
	if (!ret)
		sim_entry_add(conn, NULL, bytes, len);
	conn->wants_room |= ret == -EAGAIN;
	memset(bytes, 0xcc, sizeof(bytes));
}

static void do_write(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	uint64_t count = 1 + below(world, chance(world, 1, 3) ? 12 : 1);

	while (conn && conn->sock && count--)
		write_one(world, conn);
}

static void do_take(struct sim_world *world)
{
	struct sim_request *request = any_request(world);
	int expected, ret;
	zcreq_hold hold;

	if (!request || request->hold_count == SIM_HOLDS)
		return;
	expected = expected_use(request);
	world->stale += expected == -ESTALE;
	ret = zcreq_take(world->context, request->id, &hold);
	sim_trace(world, "take r%u: %d", request->number, ret);
	if (expected ? ret != expected : ret && ret != -ENOMEM)
		sim_fail(world, "take says %d, should be %d", ret, expected);
	if (!ret)
		request->holds[request->hold_count++] = hold;
}

/* An error of the owner's is the first that the request meets, or comes too late. */
static void own_error(struct sim_request *request, int status)
{
	if (status && !request->error && !request->withdrawn && sim_conn_lives(request->conn))
		request->error = status;
}

void sim_drop_one(struct sim_request *request, unsigned n, int status)
{
	struct sim_world *world = request->conn->world;
	zcreq_hold hold = request->holds[n];
	int ret;

	own_error(request, status);
	request->holds[n] = request->holds[--request->hold_count];
	ret = zcreq_drop(world->context, hold, status);
	sim_trace(world, "drop of r%u %d: %d", request->number, status, ret);
	if (ret)
		sim_fail(world, "drop says %d", ret);
	if (!chance(world, 1, 4))
		return;
	world->stale++;
	if (zcreq_drop(world->context, hold, -EIO) != -ESTALE)
		sim_fail(world, "I3: a second drop was taken");
}

static void do_drop(struct sim_world *world)
{
	struct sim_request *request = any_request(world);

	if (request && request->hold_count)
		sim_drop_one(request, (unsigned)below(world, request->hold_count),
			     chance(world, 1, 6) ? errors[below(world, 4)] : 0);
}

void sim_finish_request(struct sim_request *request, int status)
{
	struct sim_world *world = request->conn->world;
	int expected = request->finished ? -ESTALE : 0;
	int ret;

	if (!expected)
		own_error(request, status);
	else
		world->stale++;
	request->finished = true;
	ret = zcreq_finish(world->context, request->id, status);
	sim_trace(world, "finish r%u %d: %d", request->number, status, ret);
	if (ret != expected)
		sim_fail(world, "finish says %d, should be %d", ret, expected);
}

static void do_finish(struct sim_world *world)
{
	struct sim_request *request = any_request(world);

	if (request)
		sim_finish_request(request, chance(world, 1, 10) ? errors[below(world, 4)] : 0);
}

static void do_abort_request(struct sim_world *world)
{
	struct sim_request *request = any_request(world);
	int status = errors[below(world, 4)];
	uint64_t accepted;
	int state, ret;
	bool lives;

	if (!request)
		return;
	sim_stream_check(request->conn);
	accepted = sim_accepted_of(request);
	lives = sim_conn_lives(request->conn);
	state = zcreq_request_state(world->context, request->id);
	ret = zcreq_abort(world->context, request->id, status);
	sim_trace(world, "abort r%u %d: %d", request->number, status, ret);
	if (ret == -ESTALE) {
		world->stale++;
		if (!request->heard_released && state != ZCREQ_STATE_DONE &&
		    state != -ESTALE)
			sim_fail(world, "I3: abort says stale of a request in state %d", state);
		return;
	}
	if (request->heard_released)
		sim_fail(world, "I3: abort of a released request says %d", ret);
	if ((request->withdrawn || !lives) != (ret == -EALREADY))
		sim_fail(world, "abort says %d, withdrawn %d, connection alive %d", ret,
			 request->withdrawn, lives);
	if (ret == -EALREADY)
		return;
	if (ret != (accepted ? -EBUSY : 0))
		sim_fail(world, "abort says %d, %llu bytes were accepted", ret,
			 (unsigned long long)accepted);
	if (ret)
		return;
	request->withdrawn = true;
	if (!request->error)
		request->error = status;
	sim_entries_drop(request->conn, request);
}

static void do_conn_abort(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	int status = errors[below(world, 4)];
	bool lives;
	int ret;

	if (!conn || !chance(world, 1, 3))
		return;
	lives = sim_conn_lives(conn);
	if (lives) {
		sim_conn_error(conn, status);
		sim_conn_ended(conn);
	}
	ret = zcreq_conn_abort(conn->conn, status);
	sim_trace(world, "conn_abort c%u %d: %d", conn->number, status, ret);
	if (ret != (lives ? 0 : -EALREADY))
		sim_fail(world, "conn_abort says %d, alive %d", ret, lives);
}

static void do_drain(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	uint64_t deadline = ZCREQ_NEVER;
	int state, ret;

	if (!conn || !chance(world, 1, 3))
		return;
	if (chance(world, 1, 2))
		deadline = sim_now_ns(world) + below(world, 5000) * 1000000;
	state = zcreq_conn_state(conn->conn);
	ret = zcreq_conn_drain(conn->conn, deadline);
	sim_trace(world, "drain c%u: %d", conn->number, ret);
	if (ret != (state == ZCREQ_CONN_OPEN ? 0 : -EALREADY))
		sim_fail(world, "drain says %d in state %d", ret, state);
	conn->drained |= !ret;
}

static void do_free(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	struct zcreq_conn *handle;

	if (!conn || !chance(world, 1, 6))
		return;
	if (sim_conn_lives(conn))
		sim_conn_error(conn, -ECANCELED);
	sim_conn_ended(conn);
	sim_trace(world, "free c%u", conn->number);
	handle = conn->conn;
	conn->conn = NULL;
	zcreq_conn_free(handle);
}

/* Handles that were never given, and the text of those that were. */
static void do_forge(struct sim_world *world)
{
	zcreq_id id = { sim_random_next(&world->random) };
	zcreq_hold hold = { sim_random_next(&world->random) };
	struct sim_request *request = any_request(world);
	struct sim_conn *conn = any_conn(world);
	char text[200];

	if (chance(world, 1, 3))
		id.bits = hold.bits = 0;
	world->stale += 2;
	if (zcreq_finish(world->context, id, 0) != -ESTALE ||
	    zcreq_drop(world->context, hold, 0) != -ESTALE)
		sim_fail(world, "I3: a forged handle was taken");
	if (request)
		(void)zcreq_explain(world->context, request->id, text, below(world, 200));
	if (conn && zcreq_conn_explain(conn->conn, text, sizeof(text)) <= 0)
		sim_fail(world, "a connection without explanation");
}

/* One turn of an event loop for one connection. */
void sim_drive(struct sim_conn *conn)
{
	short events = zcreq_events(conn->conn);
	short bits;

	if (!conn->sock || !events)
		return;
	bits = fake_socket_poll(conn->sock, events);
	if (!bits)
		return;
	sim_trace(conn->world, "process c%u 0x%x", conn->number, (unsigned)bits);
	if (zcreq_process(conn->conn, bits))
		sim_fail(conn->world, "process failed");
}

static void do_process(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);
	short bits;

	if (!conn || !conn->sock)
		return;
	if (!chance(world, 1, 8)) {
		sim_drive(conn);
		return;
	}
	bits = (short)(below(world, 256) & ~(uint64_t)POLLHUP & ~(uint64_t)POLLNVAL);
	sim_trace(world, "process c%u by mistake 0x%x", conn->number, (unsigned)bits);
	if (zcreq_process(conn->conn, bits))
		sim_fail(world, "process failed");
}

static void do_flush(struct sim_world *world)
{
	struct sim_conn *conn = any_conn(world);

	if (!conn || !conn->sock)
		return;
	sim_trace(world, "flush c%u", conn->number);
	if (zcreq_flush(conn->conn))
		sim_fail(world, "flush failed");
}

static void do_tick(struct sim_world *world)
{
	uint64_t now = sim_now_ns(world);
	uint64_t deadline = sim_tick(world);

	sim_trace(world, "tick: %lld", deadline == ZCREQ_NEVER ? -1LL :
		  (long long)(deadline - now) / 1000000);
}

static void do_dispatch(struct sim_world *world)
{
	int ran = zcreq_dispatch(world->context);

	if (ran < 0 || (world->in_callback && ran))
		sim_fail(world, "I6: dispatch says %d, in a callback %d", ran, world->in_callback);
}

static void do_starve(struct sim_world *world)
{
	if (chance(world, 1, 3))
		alloc_fault_arm(&world->fault, 1 + below(world, 6), 1 + below(world, 3));
}

struct choice {
	void (*act)(struct sim_world *world);
	unsigned weight;
};

static const struct choice choices[] = {
	{ do_open, 3 },    { do_begin, 14 },     { do_send, 24 },      { do_write, 5 },
	{ do_take, 5 },    { do_drop, 6 },       { do_finish, 12 },    { do_abort_request, 4 },
	{ do_drain, 1 },   { do_conn_abort, 2 }, { do_free, 2 },       { do_forge, 1 },
	{ do_process, 20 }, { do_flush, 6 },     { do_tick, 4 },       { do_starve, 1 },
	{ do_dispatch, 2 }, { sim_nature_act, 30 },
};

void sim_action(struct sim_world *world)
{
	size_t i, count = sizeof(choices) / sizeof(choices[0]);
	unsigned total = 0, pick;

	for (i = 0; i < count; i++)
		total += choices[i].weight;
	pick = (unsigned)below(world, total);
	for (i = 0; pick >= choices[i].weight; i++)
		pick -= choices[i].weight;
	choices[i].act(world);
}

/* A callback may call anything; so that a run ends, only so often. */
void sim_callback_action(struct sim_world *world)
{
	unsigned count = (unsigned)below(world, 4);
	bool inside = world->inside;

	if (!chance(world, 1, 2))
		return;
	world->inside = true;
	for (; count && world->nested; count--) {
		world->nested--;
		sim_action(world);
	}
	world->inside = inside;
}
