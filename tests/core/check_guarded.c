/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_guarded.c - who may be a context's guard, and what it then hears
 *
 * With a guard that only listens.
 */
#include "support/suite.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/trace.h>
#include <zcreq/zcreq.h>

#include "core/guarded.h"
#include "support/counting.h"
#include "support/emulated.h"
#include "support/recorder.h"
#include "support/stub.h"

#define ENTRIES 3 /* that it gives, from 1; then it gives 0 */

/* What the guard has heard. */
static struct {
	const struct zcreq_allocator *allocator;
	const void *how;
	int refuses; /* with this error */
	bool blind;  /* to descriptors */
	bool forbids, keeps;
	unsigned made, freed, sends, gone, opens, looks, closes, calls, frees;
	const struct zcreq_conn *called;
	enum zcreq_call_kind kind;
	struct zcreq_conn *kept;
	uint32_t last_gone;
	uint64_t last_held;
	struct zcreq_conn *conn;
	zcreq_id id;
	int fd;
	uint32_t number, iovcnt;
	const struct iovec *iov;
} guard;
static char watched;

static int make(const struct zcreq_allocator *allocator, const void *how, void **out)
{
	guard.made++;
	guard.allocator = allocator;
	guard.how = how;
	if (!guard.refuses)
		*out = &guard;
	return guard.refuses;
}

static void free_guard(void *of)
{
	ck_assert_ptr_eq(of, &guard);
	guard.freed++;
}

static uint32_t hear_send(void *of, struct zcreq_conn *conn, zcreq_id id, int fd,
			  const struct iovec *iov, uint32_t iovcnt, uint32_t number)
{
	ck_assert_ptr_eq(of, &guard);
	guard.conn = conn;
	guard.id = id;
	guard.fd = fd;
	guard.iov = iov;
	guard.iovcnt = iovcnt;
	guard.number = number;
	return ++guard.sends > ENTRIES ? 0 : guard.sends;
}

static void hear_gone(void *of, uint32_t entry)
{
	ck_assert_ptr_eq(of, &guard);
	guard.gone++;
	guard.last_gone = entry;
}

static void *hear_open(void *of, struct zcreq_conn *conn, int fd)
{
	ck_assert_ptr_eq(of, &guard);
	guard.opens++;
	guard.conn = conn;
	guard.fd = fd;
	return guard.blind ? NULL : &watched;
}

static void hear_look(void *what, uint64_t held_bytes)
{
	ck_assert_ptr_eq(what, &watched);
	guard.looks++;
	guard.last_held = held_bytes;
}

static void hear_close(void *what)
{
	ck_assert_ptr_eq(what, &watched);
	guard.closes++;
}

static bool hear_call(void *of, const struct zcreq_conn *conn, enum zcreq_call_kind kind)
{
	ck_assert_ptr_eq(of, &guard);
	guard.calls++;
	guard.called = conn;
	guard.kind = kind;
	return guard.forbids;
}

static void hear_freed(void *of, const struct zcreq_conn *conn)
{
	ck_assert_ptr_eq(of, &guard);
	guard.frees++;
	guard.called = conn;
}

static bool hear_keep(void *of, struct zcreq_conn *conn)
{
	ck_assert_ptr_eq(of, &guard);
	guard.kept = guard.keeps ? conn : NULL;
	return guard.keeps;
}

static const struct zcreq_guard_hooks hooks = {
	.make = make,
	.free = free_guard,
	.send = hear_send,
	.send_gone = hear_gone,
	.open = hear_open,
	.look = hear_look,
	.close = hear_close,
	.call = hear_call,
	.freed = hear_freed,
	.keep = hear_keep,
};

static struct counting memory;
static struct stub stub;
static struct zcreq_context *context;

static void setup(void)
{
	memset(&guard, 0, sizeof(guard));
	context = counting_context(&memory, 0);
	stub_init(&stub);
}

static void set_guard(void)
{
	ck_assert_int_eq(zcreq_guard_set(context, ZCREQ_VERSION, &hooks, &stub), 0);
}

/* ---- who may be one ---- */

START_TEST(a_context_has_no_guard_to_begin_with)
{
	ck_assert_ptr_null(zcreq_guard_of(context));
	counting_end(&memory, context);
	ck_assert_uint_eq(guard.freed, 0);
}
END_TEST

START_TEST(a_guard_of_another_version_is_refused)
{
	static const char *const others[] = {"", "0.0.1", (ZCREQ_VERSION ".1"),
					    ("1" ZCREQ_VERSION)};

	for (unsigned i = 0; i < COUNT(others); i++)
		ck_assert_int_eq(zcreq_guard_set(context, others[i], &hooks, NULL), -ENOTSUP);
	ck_assert_ptr_null(zcreq_guard_of(context));
	ck_assert_uint_eq(guard.made, 0);
	counting_end(&memory, context);
}
END_TEST

START_TEST(a_guard_that_cannot_be_made_is_none)
{
	guard.refuses = -EPERM;
	ck_assert_int_eq(zcreq_guard_set(context, ZCREQ_VERSION, &hooks, NULL), -EPERM);
	ck_assert_ptr_null(zcreq_guard_of(context));
	guard.refuses = 0;
	set_guard(); /* which another try may be */
	ck_assert_uint_eq(guard.made, 2);
	counting_end(&memory, context);
	ck_assert_uint_eq(guard.freed, 1);
}
END_TEST

START_TEST(a_guard_is_made_once_and_freed_with_the_context)
{
	struct zcreq_conn *conn;

	set_guard();
	ck_assert_ptr_eq(zcreq_guard_of(context), &guard);
	ck_assert_ptr_eq(guard.how, &stub);
	ck_assert_ptr_eq(guard.allocator->arg, memory.allocator.arg);
	ck_assert_int_eq(zcreq_guard_set(context, ZCREQ_VERSION, &hooks, NULL), -EALREADY);
	conn = stub_open(&stub, context, NULL, NULL);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	ck_assert_uint_eq(guard.freed, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
	ck_assert_uint_eq(guard.made, 1);
	ck_assert_uint_eq(guard.freed, 1);
}
END_TEST

/* Also those that are no streams: who has one has a part of the context in use. */
START_TEST(a_guard_comes_before_connections)
{
	struct zcreq_conn *conn = stub_open(&stub, context, NULL, NULL);

	ck_assert_int_eq(zcreq_guard_set(context, ZCREQ_VERSION, &hooks, NULL), -EBUSY);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
	ck_assert_int_eq(zcreq_guard_set(context, ZCREQ_VERSION, &hooks, NULL), -EBUSY);
	ck_assert_uint_eq(guard.made, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	set_guard();
	counting_end(&memory, context);
}
END_TEST

/* ---- what it hears ---- */

static void send_one(struct zcreq_conn *conn, struct heard *heard, const struct iovec *iov, int n)
{
	heard_begin(conn, heard);
	ck_assert_int_eq(zcreq_add(context, heard->id, iov, n, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard->id, 0), 0);
}

/* Each send with its place, and its end; but not the end of one that it keeps nothing of. */
START_TEST(a_guard_hears_of_each_send_and_of_its_end)
{
	char buffer[300] = "";
	const struct iovec iov[] = {{buffer, 200}, {buffer + 200, 100}};
	struct heard heard[ENTRIES + 1] = {{0}};
	struct zcreq_conn *conn;

	set_guard();
	conn = stub_open(&stub, context, NULL, NULL);
	for (uint32_t i = 0; i <= ENTRIES; i++) {
		send_one(conn, &heard[i], iov, 2);
		ck_assert_uint_eq(guard.sends, i + 1);
		ck_assert_ptr_eq(guard.conn, conn);
		ck_assert(guard.id.bits == heard[i].id.bits);
		ck_assert_int_eq(guard.fd, STUB_FD);
		ck_assert_ptr_eq(guard.iov, iov);
		ck_assert_uint_eq(guard.iovcnt, 2);
		ck_assert_uint_eq(guard.number, i);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(guard.gone, i);
		stub_prove_all(&stub);
		ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(heard[i].released, 1);
		ck_assert_uint_eq(guard.gone, i < ENTRIES ? i + 1 : ENTRIES);
		ck_assert_uint_eq(guard.last_gone, guard.gone);
	}
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
	ck_assert_uint_eq(guard.opens, 0); /* the descriptor is none of the kernel's */
}
END_TEST

/* What is not a request's memory is not in flight on its account. */
START_TEST(a_guard_hears_nothing_of_what_is_refused_or_copied)
{
	const struct iovec iov = {"x", 1};
	struct heard heard = {0};
	struct zcreq_conn *conn;

	set_guard();
	conn = stub_open(&stub, context, NULL, NULL);
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 0, 0), -EINVAL);
	ck_assert_int_eq(zcreq_write(conn, "x", 1), 0);
	zcreq_turn(context, 0);
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
	ck_assert_uint_eq(guard.sends + guard.gone, 0);
}
END_TEST

static int connected_socket(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, len), 0);
	return fd;
}

/* At each use, with what is at stake; unless it cannot watch it. */
START_TEST(a_guard_looks_at_descriptors_of_the_kernel)
{
	static char buffer[1000];
	const struct iovec iov = {buffer, sizeof(buffer)};
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_NEVER};
	struct heard heard = {0};
	struct zcreq_conn *conn;

	if (emulated_states())
		return;
	set_guard();
	guard.blind = _i;
	options.fd = connected_socket();
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	ck_assert_uint_eq(guard.opens, 1);
	ck_assert_ptr_eq(guard.conn, conn);
	ck_assert_int_eq(guard.fd, options.fd);
	send_one(conn, &heard, &iov, 1);
	ck_assert_uint_eq(guard.looks, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(guard.looks, _i ? 0 : 1);
	ck_assert_uint_eq(guard.last_held, _i ? 0 : sizeof(buffer));
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0); /* reads the error queue */
	ck_assert_uint_eq(guard.looks, _i ? 0 : 2);
	ck_assert_uint_eq(guard.last_held, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_uint_ge(guard.looks, _i ? 0 : 3);
	ck_assert_uint_eq(guard.closes, !_i);
	counting_end(&memory, context);
}
END_TEST

/* Of a turn as such, of the rest with its connection. */
START_TEST(a_guard_hears_of_calls)
{
	struct zcreq_conn *conn;
	unsigned before;

	set_guard();
	zcreq_turn(context, 0);
	ck_assert_int_eq(guard.kind, ZCREQ_CALL_TURN);
	ck_assert_ptr_null(guard.called);
	conn = stub_open(&stub, context, NULL, NULL);
	ck_assert_int_eq(guard.kind, ZCREQ_CALL_DOES);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	ck_assert_int_eq(guard.kind, ZCREQ_CALL_LOOKS);
	ck_assert_ptr_eq(guard.called, conn);
	before = guard.calls;
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	ck_assert_int_eq(guard.kind, ZCREQ_CALL_DOES);
	ck_assert_ptr_eq(guard.called, conn);
	ck_assert_uint_eq(guard.calls, before + 1);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}
END_TEST

/* It hears of requests where the trace would, whether there is one or was. */
START_TEST(a_guard_hears_without_a_trace)
{
	static uint64_t log[8 + 4 * ZCREQ_TRACE_LEAST];
	const struct zcreq_trace_options o = {
		.size = sizeof(o), .memory = log, .memory_bytes = sizeof(log),
	};
	struct heard heard[2] = {{0}};
	struct zcreq_conn *conn;
	unsigned before;

	set_guard();
	conn = stub_open(&stub, context, NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		before = guard.calls;
		heard_begin(conn, &heard[i]);
		ck_assert_uint_eq(guard.calls, before + 1);
		ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
		ck_assert_uint_eq(guard.calls, before + 2);
		ck_assert_int_eq(zcreq_trace_start(context, &o), 0);
		ck_assert_int_eq(zcreq_trace_stop(context), 0);
	}
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}
END_TEST

/* A connection is freed once, whatever the program does, and is the guard's if it wants it. */
START_TEST(a_guard_may_keep_what_is_freed)
{
	struct zcreq_conn *conn;
	long live;

	set_guard();
	guard.keeps = _i;
	conn = stub_open(&stub, context, NULL, NULL);
	live = memory.live;
	zcreq_conn_free(conn);
	ck_assert_uint_eq(guard.frees, 1);
	ck_assert_ptr_eq(guard.called, conn);
	guard.forbids = true; /* the second time */
	zcreq_conn_free(conn);
	ck_assert_uint_eq(guard.frees, 1);
	zcreq_turn(context, 0);
	ck_assert_ptr_eq(guard.kept, _i ? conn : NULL);
	ck_assert_int_eq(memory.live, live - !_i);
	if (guard.kept)
		memory.allocator.free(guard.kept, memory.allocator.arg);
	counting_end(&memory, context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guarded");
	TCase *who = tcase_create("who"), *hears = tcase_create("hears");

	tcase_add_checked_fixture(who, setup, NULL);
	tcase_add_test(who, a_context_has_no_guard_to_begin_with);
	tcase_add_test(who, a_guard_of_another_version_is_refused);
	tcase_add_test(who, a_guard_that_cannot_be_made_is_none);
	tcase_add_test(who, a_guard_is_made_once_and_freed_with_the_context);
	tcase_add_test(who, a_guard_comes_before_connections);
	suite_add_tcase(s, who);

	tcase_add_checked_fixture(hears, setup, NULL);
	tcase_add_test(hears, a_guard_hears_of_each_send_and_of_its_end);
	tcase_add_test(hears, a_guard_hears_nothing_of_what_is_refused_or_copied);
	tcase_add_test(hears, a_guard_hears_of_calls);
	tcase_add_test(hears, a_guard_hears_without_a_trace);
	tcase_add_loop_test(hears, a_guard_may_keep_what_is_freed, 0, 2);
	tcase_add_loop_test(hears, a_guard_looks_at_descriptors_of_the_kernel, 0, 2);
	suite_add_tcase(s, hears);
	return suite_run(s);
}
