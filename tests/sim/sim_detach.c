/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_detach.c - see sim_detach.h
 *
 * The functions that a stream calls to exchange pages are played here: now and then they
 * refuse, and else the fake kernel's old pages go their own way. What is asked for has to be
 * memory that is lent, by those that are to be detached, and all of it; after that the kernel
 * has nothing at their addresses. The sends are the kernel's alone from then on, under
 * another name, until it lets go, and for as long they count.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/memory.h>

#include "sim/sim_detach.h"
#include "sim/sim_inside.h"
#include "sim/sim_life.h"
#include "stream/stream.h"

/* In place of an answer: the exchange has to be asked for. */
#define EXCHANGE 1

/* Of one act, requests. */
#define MOST_REQUESTS 6

/** A send that was detached, until the kernel has let go. */
struct sim_ghost {
	LIST_ENTRY(sim_ghost) in_world;
	const struct fake_socket *sock;
	uint64_t from, to; /* what of the stream the kernel took of it */
	uint8_t *name;     /* an address that nothing else has */
	size_t len;
};

static unsigned long long ull(uint64_t number)
{
	return number;
}

static bool sock_closed(const struct sim_conn *conn)
{
	struct fake_socket_report report;

	fake_socket_report(conn->sock, &report);
	return report.closed;
}

/* ---- what is lent, and what was ------------------------------------------------ */

static bool is_lent(const struct fake_socket *sock, const struct sim_send *send)
{
	const struct sim_entry *entry = send->entry;

	if (send->detached)
		return false;
	return fake_socket_lent(sock, send->memory, send->len) ||
	       (entry && entry->done &&
		fake_socket_unproven_part(sock, entry->offset, entry->offset + entry->done));
}

static uint64_t lent_bytes(const struct sim_request *request)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < request->send_count; i++)
		if (is_lent(request->conn->sock, &request->sends[i]))
			sum += request->sends[i].len;
	return sum;
}

static uint64_t lent_bytes_of(const struct sim_conn *conn, const struct sim_request *request)
{
	uint64_t sum = 0;

	if (request)
		return lent_bytes(request);
	LIST_FOREACH(request, &conn->world->live, in_world)
		if (request->conn == conn)
			sum += lent_bytes(request);
	return sum;
}

static bool kernel_has(const struct sim_ghost *ghost)
{
	return fake_socket_lent(ghost->sock, ghost->name, ghost->len) ||
	       (ghost->to > ghost->from &&
		fake_socket_unproven_part(ghost->sock, ghost->from, ghost->to));
}

static void forget(struct sim_ghost *ghost)
{
	LIST_REMOVE(ghost, in_world);
	free(ghost->name);
	free(ghost);
}

static uint64_t kept_bytes(struct sim_world *world)
{
	struct sim_ghost *ghost, *next;
	uint64_t sum = 0;

	for (ghost = LIST_FIRST(&world->ghosts); ghost; ghost = next) {
		next = LIST_NEXT(ghost, in_world);
		if (kernel_has(ghost))
			sum += ghost->len;
		else
			forget(ghost);
	}
	return sum;
}

static void detach_send(struct sim_request *request, struct sim_send *send)
{
	struct sim_conn *conn = request->conn;
	struct sim_world *world = conn->world;
	const struct sim_entry *entry = send->entry;
	struct sim_ghost *ghost = calloc(1, sizeof(*ghost));

	if (!ghost)
		abort();
	if (fake_kernel_references(world->kernel, send->memory, send->len))
		sim_fail(world, "I2: r%u is detached, the kernel has %llu bytes of its pages",
			 request->number,
			 ull(fake_kernel_references(world->kernel, send->memory, send->len)));
	ghost->sock = conn->sock;
	ghost->from = entry ? entry->offset : 0;
	ghost->to = entry ? entry->offset + entry->done : 0;
	ghost->len = send->len;
	ghost->name = malloc(send->len);
	if (!ghost->name)
		abort();
	fake_socket_rename(conn->sock, send->memory, send->len, ghost->name);
	LIST_INSERT_HEAD(&world->ghosts, ghost, in_world);
	send->detached = true;
	conn->detached_sends++;
	world->outcome->detached_sends++;
}

/* They are the program's again: of one request, or of all. */
static void detach_all(struct sim_conn *conn, struct sim_request *of)
{
	struct sim_request *request;
	bool any;
	unsigned i;

	sim_stream_check(conn);
	LIST_FOREACH(request, &conn->world->live, in_world) {
		if (request->conn != conn || (of && request != of))
			continue;
		any = false;
		for (i = 0; i < request->send_count; i++) {
			if (!is_lent(conn->sock, &request->sends[i]))
				continue;
			detach_send(request, &request->sends[i]);
			any = true;
		}
		conn->world->outcome->detached += any;
	}
}

/* ---- who exchanges pages --------------------------------------------------------- */

/* How much of the range is lent by those that are to be detached. */
static uint64_t theirs(const struct sim_conn *conn, const struct iovec *range)
{
	const uintptr_t from = (uintptr_t)range->iov_base, to = from + range->iov_len;
	const struct sim_request *request;
	uint64_t sum = 0;
	unsigned i;

	LIST_FOREACH(request, &conn->world->live, in_world) {
		if (request->conn != conn || (conn->asked && request != conn->asked))
			continue;
		for (i = 0; i < request->send_count; i++) {
			const struct sim_send *send = &request->sends[i];
			uintptr_t lo = (uintptr_t)send->memory, hi = lo + send->len;

			if (hi <= from || lo >= to || !is_lent(conn->sock, send))
				continue;
			sum += (hi < to ? hi : to) - (lo > from ? lo : from);
		}
	}
	return sum;
}

static void check_lent(const struct sim_conn *conn, const struct iovec *lent, int count)
{
	uintptr_t end = 0;
	uint64_t of;
	int i;

	if (count < 1)
		sim_fail(conn->world, "c%u: an exchange of nothing", conn->number);
	for (i = 0; i < count; i++) {
		if (!lent[i].iov_len || (i && (uintptr_t)lent[i].iov_base <= end))
			sim_fail(conn->world, "c%u: what is lent is not in order", conn->number);
		end = (uintptr_t)lent[i].iov_base + lent[i].iov_len;
		of = theirs(conn, &lent[i]);
		/* the ends of members that touch are a few bytes apart */
		if (of != lent[i].iov_len)
			sim_fail(conn->world, "c%u: exchanges %zu bytes of which %llu are lent",
				 conn->number, lent[i].iov_len, ull(of));
	}
}

/* Not before its time, and once. */
static void check_unasked(struct sim_conn *conn)
{
	uint64_t since = conn->ended ? conn->ended_ms : conn->alive_ms;
	uint64_t waited = fake_kernel_now_ms(conn->world->kernel) - since;

	if (!conn->detach_ms || sim_conn_lives(conn) || waited < conn->detach_ms)
		sim_fail(conn->world, "c%u detaches unasked, after %llu of %u ms", conn->number,
			 ull(waited), conn->detach_ms);
	if (conn->unasked++)
		sim_fail(conn->world, "c%u detaches unasked, and again", conn->number);
}

/* Pages of which all is lent read as zeros, if what they hold need not be kept. */
static void exchange_range(struct sim_world *world, const struct iovec *range, unsigned flags)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	uint8_t *start = range->iov_base, *end = start + range->iov_len;
	uint8_t *from = start - ((uintptr_t)start & mask), *to = end + (-(uintptr_t)end & mask);

	fake_kernel_exchange(world->kernel, from, (size_t)(to - from));
	if (!(flags & ZCREQ_DETACH_DISCARD))
		return;
	from += from < start ? mask + 1 : 0;
	to -= to > end ? mask + 1 : 0;
	if (from < to)
		memset(from, 0, (size_t)(to - from));
}

static int on_exchange(const struct iovec *lent, int count, unsigned flags, void *arg)
{
	static const int errors[] = { EPERM, ENOMEM, EACCES, EMFILE };
	struct sim_conn *conn = arg;
	struct sim_world *world = conn->world;
	int i;

	sim_stream_check(conn);
	check_lent(conn, lent, count);
	if (!conn->asks)
		check_unasked(conn);
	if (conn->sender && fake_sender_busy(conn->sender))
		sim_fail(world, "c%u exchanges under a submission", conn->number);
	conn->answered = true;
	conn->answer = sim_chance(world, 1, 6) ? -errors[sim_choose(world, 4)] : 0;
	sim_trace(world, "  exchange of %d ranges%s: %d", count,
		  conn->asks ? "" : ", unasked", conn->answer);
	if (conn->answer)
		return conn->answer;
	for (i = 0; i < count; i++)
		exchange_range(world, &lent[i], flags);
	if (!conn->asks)
		detach_all(conn, NULL);
	return 0;
}

static const struct zcreq_memory_ops memory_ops = { .exchange = on_exchange };

/* ---- opening ----------------------------------------------------------------------- */

void sim_detach_begin(struct sim_world *world)
{
	world->accidents = sim_chance(world, 1, 6);
	if (!sim_chance(world, 1, 3))
		return;
	world->detached_most = 1 + sim_choose(world, 60000);
	world->context->detached_most = world->detached_most;
}

void sim_detach_deinit(struct sim_world *world)
{
	struct sim_ghost *ghost;

	while ((ghost = LIST_FIRST(&world->ghosts)))
		forget(ghost);
}

/* Few kernels keep anything: more of these do. */
static void make_clinging(struct sim_conn *conn)
{
	struct fake_knobs *knobs = fake_socket_knobs(conn->sock);

	conn->lets_go = false;
	knobs->qdisc_bytes = FAKE_NEVER;
	knobs->qdisc_ms = sim_chance(conn->world, 1, 2) ? FAKE_NEVER :
							  1 + sim_choose(conn->world, 9000);
}

void sim_detach_options(struct sim_conn *conn, struct zcreq_stream_options *options)
{
	struct sim_world *world = conn->world;

	if (!sim_chance(world, 1, 2) && !world->to_detach)
		return;
	conn->detachable = true;
	options->flags |= ZCREQ_STREAM_DETACH;
	options->memory_ops = &memory_ops;
	options->memory_arg = conn;
	if (conn->linger_ms > 1 && sim_chance(world, 1, 3))
		options->detach_ms = 1 + (uint32_t)sim_choose(world, conn->linger_ms - 1);
	if (options->detach_ms && sim_chance(world, 1, 2))
		options->flags &= ~ZCREQ_STREAM_DETACH;
	conn->detach_ms = options->detach_ms;
	if (sim_chance(world, 1, 2) || world->to_detach)
		make_clinging(conn);
	if (sim_chance(world, 1, 2) && !fake_socket_knobs(conn->sock)->zerocopy_refused)
		options->mode = ZCREQ_MODE_ALWAYS;
	if (conn->sender)
		fake_sender_knobs(conn->sender)->pins = sim_chance(world, 1, 12);
}

void sim_detach_opened(struct sim_conn *conn)
{
	conn->inside = conn->conn;
}

uint8_t *sim_detach_memory(struct sim_conn *conn, size_t len)
{
	uint8_t *memory = conn->detachable ? sim_memory_take(&conn->world->memory, len)
					   : malloc(len);

	if (!memory)
		abort();
	return memory;
}

/* ---- what it has done by itself --------------------------------------------------------- */

void sim_detach_notice(struct sim_conn *conn)
{
	uint64_t sends;

	if (!conn->detachable || sock_closed(conn))
		return;
	sends = zcreq_stream_of(conn->inside)->queue.gone[ZCREQ_GONE_DETACHED];
	/* all that is left was exchanged with others, on the same pages */
	if (sends > conn->detached_sends && !conn->unasked) {
		check_unasked(conn);
		detach_all(conn, NULL);
		/* of some the kernel may have let go since, in the same step */
		if (sends > conn->detached_sends) {
			conn->world->outcome->detached_sends += sends - conn->detached_sends;
			conn->detached_sends = sends;
		}
	}
	if (sends != conn->detached_sends)
		sim_fail(conn->world, "I2: c%u says that %llu sends are detached, should be %llu",
			 conn->number, ull(sends), ull(conn->detached_sends));
}

static void notice_all(struct sim_world *world)
{
	struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->sock)
			sim_detach_notice(conn);
}

/* ---- the verb ------------------------------------------------------------------------ */

/* What has to be answered; EXCHANGE if that is for who exchanges pages to say. */
static int expected(const struct sim_conn *conn, const struct sim_request *request,
		    unsigned flags)
{
	struct sim_world *world = conn->world;
	uint64_t bytes;

	if (request && request->heard_released)
		return -ESTALE;
	if (flags & ~ZCREQ_DETACH_DISCARD)
		return -EINVAL;
	if (!conn->sock || conn->own)
		return -EOPNOTSUPP;
	if (conn->conn && zcreq_conn_state(conn->conn) == ZCREQ_CONN_CLOSED)
		return 0;
	if (!conn->detachable)
		return -EOPNOTSUPP;
	if (sim_conn_lives(conn))
		return -EBUSY;
	bytes = lent_bytes_of(conn, request);
	if (request ? !bytes : !conn->live)
		return 0;
	if (conn->sender && fake_sender_busy(conn->sender))
		return -EBUSY;
	if (world->detached_most && kept_bytes(world) + bytes > world->detached_most)
		return -EDQUOT;
	return EXCHANGE;
}

/* Of one request, or of all. */
static void detach(struct sim_conn *conn, struct sim_request *request, unsigned flags)
{
	struct sim_world *world = conn->world;
	uint64_t failed = world->fault.failed;
	int should, ret;

	sim_stream_check(conn);
	notice_all(world);
	should = expected(conn, request, flags);
	world->stale += should == -ESTALE;
	conn->asks = true;
	conn->asked = request;
	conn->answered = false;
	ret = request ? zcreq_detach(world->context, request->id, flags)
		      : zcreq_conn_detach(conn->conn, flags);
	conn->asks = false;
	conn->asked = NULL;
	if (request)
		sim_trace(world, "detach r%u %u: %d", request->number, flags, ret);
	else
		sim_trace(world, "detach c%u %u: %d", conn->number, flags, ret);
	if (conn->answered && should != EXCHANGE)
		sim_fail(world, "c%u exchanges pages, and should say %d", conn->number, should);
	if (should == EXCHANGE && ret == -ENOMEM && world->fault.failed > failed)
		return;
	if (should == EXCHANGE)
		should = conn->answered ? conn->answer :
			 ret == -EOPNOTSUPP && conn->sender &&
			 fake_sender_knobs(conn->sender)->pins ? ret : 0;
	if (ret != should)
		sim_fail(world, "detach says %d, should be %d", ret, should);
	if (!ret && conn->detachable && !sim_conn_lives(conn))
		detach_all(conn, request);
}

static void abort_one(struct sim_conn *conn)
{
	sim_conn_error(conn, -EPIPE);
	sim_conn_ended(conn);
	sim_trace(conn->world, "abort c%u, to detach", conn->number);
	if (zcreq_conn_abort(conn->conn, -EPIPE))
		sim_fail(conn->world, "abort of a living connection failed");
}

static void free_one(struct sim_conn *conn)
{
	struct zcreq_conn *handle = conn->conn;

	sim_trace(conn->world, "free c%u", conn->number);
	if (sim_conn_lives(conn))
		sim_conn_error(conn, -ECANCELED);
	sim_conn_ended(conn);
	conn->conn = NULL;
	conn->world->handles--;
	zcreq_conn_free(handle);
}

/* A handle is given back, so that there can be another: of one that has ended, or of the
 * oldest where accidents are all that happens. */
static void make_place(struct sim_world *world)
{
	struct sim_conn *conn, *oldest = NULL;

	LIST_FOREACH(conn, &world->conns, in_world) {
		if (!conn->conn)
			continue;
		oldest = conn;
		if (!sim_conn_lives(conn)) {
			free_one(conn);
			return;
		}
	}
	if (oldest && world->accidents && world->handles == SIM_CONNS)
		free_one(oldest);
}

static struct sim_conn *living(struct sim_world *world)
{
	struct sim_conn *conn;

	LIST_FOREACH(conn, &world->conns, in_world)
		if (conn->conn && conn->detachable && !conn->lets_go && sim_conn_lives(conn))
			return conn;
	return NULL;
}

/* Answers go out, their connection fails, and what the kernel has of each is detached. */
static void accident(struct sim_world *world, unsigned flags)
{
	struct sim_conn *conn = living(world);
	struct sim_request *request;

	if (!conn) {
		make_place(world);
		world->to_detach = true;
		sim_open(world);
		world->to_detach = false;
		conn = living(world);
	}
	if (!conn)
		return;
	sim_burst(conn);
	if (sim_chance(world, 1, 2))
		sim_inside_poll(conn);
	if (conn->conn && sim_conn_lives(conn))
		abort_one(conn);
	LIST_FOREACH(request, &world->live, in_world)
		if (request->conn == conn && sim_chance(world, 7, 8))
			detach(conn, request, flags);
	if (sim_chance(world, 1, 2))
		fake_socket_let_go(conn->sock, UINT32_MAX);
}

void sim_detach_act(struct sim_world *world)
{
	struct sim_request *request = sim_any_request(world);
	unsigned flags = sim_chance(world, 1, 4) ? ZCREQ_DETACH_DISCARD : 0;
	uint64_t count = 1 + sim_choose(world, MOST_REQUESTS);
	struct sim_conn *conn;

	if (sim_chance(world, world->accidents ? 9 : 3, 10)) {
		accident(world, flags);
		return;
	}
	if (!request)
		return;
	conn = request->conn;
	if (sim_chance(world, 1, 40))
		flags |= 2;
	if (conn->conn && conn->detachable && sim_conn_lives(conn) && sim_chance(world, 1, 3))
		abort_one(conn);
	if (conn->conn && sim_chance(world, 1, 4)) {
		detach(conn, NULL, flags);
		return;
	}
	detach(conn, request, flags);
	while (conn->detachable && --count && (request = sim_any_request(world)))
		detach(request->conn, request, flags);
}

/* ---- what must hold -------------------------------------------------------------------- */

void sim_detach_check(struct sim_world *world)
{
	struct zcreq_stats stats;
	uint64_t bytes;

	notice_all(world);
	bytes = kept_bytes(world);
	if (zcreq_context_stats(world->context, &stats, sizeof(stats)))
		sim_fail(world, "no statistics");
	if (stats.detached_bytes_now != bytes)
		sim_fail(world, "%llu bytes detached, the kernel has %llu",
			 ull(stats.detached_bytes_now), ull(bytes));
	if (world->detached_most && bytes > world->detached_most)
		sim_fail(world, "%llu bytes detached, of %llu", ull(bytes),
			 ull(world->detached_most));
}

bool sim_detach_missed(const struct sim_conn *conn)
{
	const struct sim_world *world = conn->world;

	return conn->detach_ms && !conn->unasked && !conn->sender && !world->detached_most &&
	       !world->fault.failed;
}
