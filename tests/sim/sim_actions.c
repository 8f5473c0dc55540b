/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_actions.c - what a caller does, by choice, also from inside callbacks
 *
 * Every action says beforehand what the library has to answer, from the model
 * alone. What the kernel does by itself is in sim_nature.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_nature.h"
#include "sim/sim_world.h"

/* Of the released ones, how many are tried again. */
#define DEAD_TRIED 32

static const int errors[] = { -EIO, -ECANCELED, -ETIMEDOUT, -EINVAL };

/* The newest is the plainest choice. */
struct sim_conn *sim_any_conn(struct sim_world *world)
{
	uint64_t n = sim_choose(world, world->handles);
	struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->conn && !n--)
			return conn;
	return NULL;
}

/* Mostly one that still lives, sometimes a dead one for the sake of its handle. */
struct sim_request *sim_any_request(struct sim_world *world)
{
	bool dead = sim_chance(world, 1, 16);
	unsigned count = dead ? world->dead_count : world->live_count;
	uint64_t n = sim_choose(world, dead && count > DEAD_TRIED ? DEAD_TRIED : count);
	struct sim_request *request;

	LIST_FOREACH(request, dead ? &world->dead : &world->live, in_world)
		if (!n--)
			return request;
	return NULL;
}

/* I7: what ends something needs no memory. */
static void allocated_nothing(struct sim_world *world, uint64_t calls, const char *call)
{
	if (world->fault.calls != calls)
		sim_fail(world, "I7: %s allocates", call);
}

void sim_open(struct sim_world *world)
{
	struct sim_conn *conn;
	int ret;

	if (world->handles >= SIM_CONNS)
		return;
	if (!world->conn_count && !world->poller)
		sim_inside_begin(world);
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		abort();
	TAILQ_INIT(&conn->entries);
	conn->world = world;
	conn->number = world->conn_count;
	conn->alive_ms = world->turn_ms;
	conn->lets_go = true;
	ret = sim_inside_open(conn);
	sim_trace(world, "open c%u%s%s%s: %d", conn->number, conn->sock ? "" : " bare",
		  conn->lets_go ? "" : " clings", conn->racy ? " racy" : "", ret);
	if (ret) {
		if (ret != -ENOMEM || !world->fault.failed)
			sim_fail(world, "open says %d", ret);
		free(conn);
		return;
	}
	LIST_INSERT_HEAD(&world->conns, conn, in_world);
	world->conn_count++;
	world->active++;
	world->handles++;
}

static struct sim_request *begin_one(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	struct sim_request *request;
	int state, ret;

	request = calloc(1, sizeof(*request));
	if (!request)
		abort();
	request->conn = conn;
	request->number = world->request_count;
	state = zcreq_conn_state(conn->conn);
	ret = zcreq_begin(conn->conn, &sim_request_ops, request, 0,
			  &request->id);
	sim_trace(world, "begin r%u on c%u: %d", request->number, conn->number, ret);
	if (ret) {
		if (state != ZCREQ_CONN_OPEN ? ret != -ESHUTDOWN :
					       ret != -ENOMEM || !world->fault.failed)
			sim_fail(world, "begin says %d in state %d", ret, state);
		free(request);
		return NULL;
	}
	if (state != ZCREQ_CONN_OPEN)
		sim_fail(world, "begin on a connection in state %d", state);
	LIST_INSERT_HEAD(&world->live, request, in_world);
	world->live_count++;
	world->request_count++;
	conn->live++;
	return request;
}

static void do_begin(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);

	if (conn && conn->live < SIM_LIVE)
		begin_one(conn);
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
	static const unsigned sizes[] = { 4, 4, 64, 64, 600, 600, 600, 5000, 5000, SIM_SEND_MOST };

	return 1 + sim_choose(world, sizes[sim_choose(world, 10)]);
}

static int make_iovecs(struct sim_world *world, struct iovec *iov, uint8_t *memory, size_t len)
{
	int n = 0, most = (int)sim_choose(world, 8);
	size_t part;

	while (len && n < most) {
		part = sim_choose(world, len + 1);
		iov[n].iov_base = memory;
		iov[n++].iov_len = part;
		memory += part;
		len -= part;
	}
	iov[n].iov_base = memory;
	iov[n++].iov_len = len;
	return n;
}

/* Expects 0 or an error of those that a full house gives. */
static void send_answer(struct sim_request *request, int expected, int ret)
{
	struct sim_world *world = request->conn->world;

	if (expected ? ret != expected : ret && ret != -EAGAIN && ret != -ENOMEM)
		sim_fail(world, "send says %d, should be %d", ret, expected);
	if (ret == -ENOMEM && !world->fault.failed)
		sim_fail(world, "send has no memory");
	request->conn->wants_room |= ret == -EAGAIN;
}

static void send_one(struct sim_request *request)
{
	struct sim_conn *conn = request->conn;
	struct sim_world *world = conn->world;
	struct sim_send *send = &request->sends[request->send_count];
	const uint8_t *bytes = sim_pattern_at(request->number, request->send_count);
	size_t len = some_size(world);
	int expected, ret, n;
	struct iovec iov[8];
	uint8_t *memory;

	memory = sim_detach_memory(conn, len);
	memcpy(memory, bytes, len);
	n = make_iovecs(world, iov, memory, len);
	expected = expected_use(request);
	if (!expected && conn->stream_ended)
		expected = -ESHUTDOWN;
	if (!expected && request->finishes)
		expected = -ESTALE;
	world->stale += expected == -ESTALE && !conn->own;
	ret = conn->own ? expected : zcreq_add(world->context, request->id, iov, n, 0);
	sim_trace(world, "send r%u c%u %zu bytes in %d: %d", request->number, conn->number, len,
		  n, ret);
	memset(iov, 0xee, sizeof(iov));
	send_answer(request, expected, ret);
	if (ret) {
		sim_memory_give(&world->memory, memory);
		return;
	}
	if (sim_chance(world, 1, 400)) {
		sim_trace(world, "  it cannot be read");
		fake_socket_unreadable(conn->sock, memory + len / 2, 1);
	}
	*send = (struct sim_send){ sim_entry_add(conn, request, bytes, len), memory, len, false };
	sim_inside_queued(conn);
	request->send_count++;
}

static void do_send(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);

	if (request && request->conn->conn && request->conn->sock &&
	    request->send_count < SIM_SENDS)
		send_one(request);
}

static void write_one(struct sim_world *world, struct sim_conn *conn)
{
	uint8_t bytes[300];
	size_t len = 1 + sim_choose(world, sizeof(bytes));
	const uint8_t *from = sim_pattern + sim_choose(world, 4096);
	bool lives = sim_conn_lives(conn);
	int ret;

	if (conn->own) { /* its own queue takes it */
		if (lives && !conn->stream_ended && !conn->drained)
			sim_entry_add(conn, NULL, from, len);
		return;
	}
	memcpy(bytes, from, len);
	ret = zcreq_write(conn->conn, bytes, len);
	sim_trace(world, "write c%u %zu: %d", conn->number, len, ret);
	/* a drain ends the stream with the last request */
	if (lives && !conn->stream_ended && conn->drained && ret == -ESHUTDOWN)
		return;
	if (!lives || conn->stream_ended ? ret != -ESHUTDOWN
					 : ret && ret != -EAGAIN && ret != -ENOMEM)
		sim_fail(world, "write says %d, alive %d", ret, lives);
	if (ret == -ENOMEM && !world->fault.failed)
		sim_fail(world, "write has no memory");
	if (!ret) {
		sim_entry_add(conn, NULL, from, len);
		sim_inside_queued(conn);
	}
	conn->wants_room |= ret == -EAGAIN;
	memset(bytes, 0xcc, sizeof(bytes));
}

static void do_write(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);
	uint64_t count = 1 + sim_choose(world, sim_chance(world, 1, 3) ? 12 : 1);

	while (conn && conn->sock && count--)
		write_one(world, conn);
}

static void do_take(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);
	int expected, ret;
	zcreq_hold hold;

	if (!request || request->hold_count == SIM_HOLDS)
		return;
	expected = expected_use(request);
	world->stale += expected == -ESTALE;
	ret = zcreq_take(world->context, request->id, &hold);
	sim_trace(world, "take r%u: %d", request->number, ret);
	if (expected ? ret != expected : ret && (ret != -ENOMEM || !world->fault.failed))
		sim_fail(world, "take says %d, should be %d", ret, expected);
	if (ret)
		return;
	request->holds[request->hold_count++] = hold;
	world->holds++;
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
	uint64_t calls = world->fault.calls;
	zcreq_hold hold = request->holds[n];
	int ret;

	own_error(request, status);
	request->holds[n] = request->holds[--request->hold_count];
	world->holds--;
	ret = zcreq_drop(world->context, hold, status);
	sim_trace(world, "drop of r%u %d: %d", request->number, status, ret);
	if (ret)
		sim_fail(world, "drop says %d", ret);
	allocated_nothing(world, calls, "drop");
	if (!sim_chance(world, 1, 4))
		return;
	world->stale++;
	if (zcreq_drop(world->context, hold, -EIO) != -ESTALE)
		sim_fail(world, "I3: a second drop was taken");
}

static void do_drop(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);

	if (request && request->hold_count)
		sim_drop_one(request, (unsigned)sim_choose(world, request->hold_count),
			     sim_chance(world, 1, 6) ? errors[sim_choose(world, 4)] : 0);
}

void sim_finish_request(struct sim_request *request, int status)
{
	struct sim_world *world = request->conn->world;
	uint64_t calls = world->fault.calls;
	int expected = request->finished ? -ESTALE : 0;
	int ret;

	request->finishes = true;
	if (sim_own_pending(request))
		return;
	if (!expected)
		own_error(request, status);
	else
		world->stale++;
	request->finished = true;
	ret = zcreq_finish(world->context, request->id, status);
	sim_trace(world, "finish r%u %d: %d", request->number, status, ret);
	if (ret != expected)
		sim_fail(world, "I3: finish says %d, should be %d", ret, expected);
	allocated_nothing(world, calls, "finish");
}

static void do_finish(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);

	if (request)
		sim_finish_request(request,
				   sim_chance(world, 1, 10) ? errors[sim_choose(world, 4)] : 0);
}

/* A turn of a busy loop: several answers, one after the other, and out with them. */
void sim_burst(struct sim_conn *conn)
{
	struct sim_world *world = conn->world;
	uint64_t count = 1 + sim_choose(world, 12);
	struct sim_request *request;

	while (conn->sock && conn->live < SIM_LIVE && count--) {
		request = begin_one(conn);
		if (!request)
			return;
		send_one(request);
		if (sim_chance(world, 1, 4))
			send_one(request);
		sim_finish_request(request, 0);
	}
	sim_turn(world);
}

static void do_burst(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);

	if (conn)
		sim_burst(conn);
	else
		sim_turn(world);
}

static void do_abort_request(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);
	int status = errors[sim_choose(world, 4)];
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
	struct sim_conn *conn = sim_any_conn(world);
	int status = errors[sim_choose(world, 4)];
	bool lives;
	int ret;

	if (!conn || !sim_choose(world, 3))
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
	struct sim_conn *conn = sim_any_conn(world);
	uint64_t calls = world->fault.calls;
	uint32_t timeout_ms = 0;
	int state, ret;

	if (!conn || sim_own_writes(conn) || !sim_chance(world, 1, 3))
		return;
	if (sim_chance(world, 1, 2))
		timeout_ms = (uint32_t)sim_choose(world, 5000);
	state = zcreq_conn_state(conn->conn);
	ret = zcreq_conn_drain(conn->conn, timeout_ms);
	sim_trace(world, "drain c%u: %d", conn->number, ret);
	if (ret != (state == ZCREQ_CONN_OPEN ? 0 : -EALREADY))
		sim_fail(world, "drain says %d in state %d", ret, state);
	/* it may find that the connection has died: that reads what others have posted */
	if (zcreq_conn_state(conn->conn) == ZCREQ_CONN_DRAINING)
		allocated_nothing(world, calls, "drain");
	conn->drained |= !ret;
}

static void do_end(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);
	uint64_t calls = world->fault.calls;
	int state, ret, expected;

	if (!conn || (conn->own && conn->next_entry) || !sim_chance(world, 1, 3))
		return;
	state = zcreq_conn_state(conn->conn);
	expected = !conn->sock ? -EINVAL
		   : state != ZCREQ_CONN_OPEN || conn->stream_ended ? -EALREADY : 0;
	ret = zcreq_conn_end(conn->conn);
	sim_trace(world, "end of stream c%u: %d", conn->number, ret);
	if (ret != expected)
		sim_fail(world, "end says %d in state %d", ret, state);
	if (zcreq_conn_state(conn->conn) == ZCREQ_CONN_OPEN)
		allocated_nothing(world, calls, "end");
	conn->stream_ended |= !ret;
}

static void do_free(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);
	struct zcreq_conn *handle;

	if (!conn || !sim_chance(world, 1, 6))
		return;
	if (sim_conn_lives(conn))
		sim_conn_error(conn, -ECANCELED);
	sim_conn_ended(conn);
	sim_trace(world, "free c%u", conn->number);
	handle = conn->conn;
	conn->conn = NULL;
	world->handles--;
	zcreq_conn_free(handle);
}

static void do_process(struct sim_world *world)
{
	struct sim_conn *conn = sim_any_conn(world);

	if (!conn)
		return;
	if (sim_chance(world, 1, 8))
		sim_inside_mistake(conn);
	else
		sim_inside_poll(conn);
	if (world->habit == SIM_GATHERS && !sim_chance(world, 1, 3))
		return;
	sim_inside_hand_in(world);
	sim_turn(world);
}

static void do_turn(struct sim_world *world)
{
	uint64_t now = sim_now_ns(world);
	uint64_t deadline = sim_turn(world);

	sim_trace(world, "turn: %lld", deadline == ZCREQ_NEVER ? -1LL :
		  (long long)(deadline - now) / 1000000);
}

static void do_turn_again(struct sim_world *world)
{
	sim_turn_again(world);
}

static void do_starve(struct sim_world *world)
{
	if (sim_chance(world, 1, 3))
		alloc_fault_arm(&world->fault, 1 + sim_choose(world, 6),
				1 + sim_choose(world, 3));
}

const struct sim_verb sim_verbs[] = {
	{ "again", do_turn_again, 2 },    { "open", sim_open, 3 },
	{ "begin", do_begin, 14 },        { "send", do_send, 22 },
	{ "finish", do_finish, 12 },      { "process", do_process, 22 },
	{ "turn", do_turn, 10 },          { "burst", do_burst, 8 },
	{ "write", do_write, 4 },         { "take", do_take, 4 },
	{ "drop", do_drop, 5 },           { "abort", do_abort_request, 3 },
	{ "conn_abort", do_conn_abort, 1 }, { "drain", do_drain, 1 },
	{ "end", do_end, 1 },             { "free", do_free, 2 },
	{ "forge", sim_forge, 1 },         { "starve", do_starve, 1 },
	{ "nature", sim_nature_act, 28 }, { "detach", sim_detach_act, 10 },
	{ "finale", sim_finale, 0 },      { NULL, NULL, 0 },
};

unsigned sim_verbs_weight(void)
{
	unsigned verb, sum = 0;

	for (verb = 0; sim_verbs[verb].name; verb++)
		sum += sim_verbs[verb].weight;
	return sum;
}

unsigned sim_verb_pick(uint64_t value)
{
	unsigned verb;

	for (verb = 0; value >= sim_verbs[verb].weight; verb++)
		value -= sim_verbs[verb].weight;
	return verb;
}

/* A callback may call anything; so that a life ends, only so often. */
void sim_callback_action(struct sim_world *world)
{
	bool inside = world->inside;
	uint64_t count;

	if (!world->nested || !sim_chance(world, 1, 3))
		return;
	world->inside = true;
	for (count = 1 + sim_choose(world, 3); count && world->nested; count--) {
		world->nested--;
		world->acted++;
		sim_verbs[sim_verb_pick(sim_choose(world, sim_verbs_weight()))].act(world);
	}
	world->inside = inside;
}
