/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ring.c - rings and registered memory: made, refused, and given back
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "support/broken.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "uring/ring.h"
#include "uring/ring_steps.h"
#include "uring/ring_script.h"
#include "support/states.h"
#include "support/stub.h"
#include "uring/wrap_alloc.h"

static struct counting memory;
static struct zcreq_context *context;
static struct ring_script script;
static struct zcreq_uring_options options;
static struct zcreq_uring *uring;
static struct stub stub;
static char data[1 << 16];

static void setup(void)
{
	context = counting_context(&memory, 0);
	script_init(&script);
	options = script_options(&script);
	stub_init(&stub);
}

static void setup_ring(void)
{
	setup();
	ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), 0);
}

static void teardown(void)
{
	if (uring)
		zcreq_uring_check(uring);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	counting_end(&memory, context);
}

/* ---- making one ----------------------------------------------------------- */

static void expect_no_ring(int error)
{
	struct zcreq_uring *none = (struct zcreq_uring *)&stub;

	ck_assert_int_eq(zcreq_uring_new(context, &options, &none), error);
	ck_assert_ptr_null(none);
}

static void anything(void)
{
}

/* No options struct ends with padding, which a later version could not tell from a member. */
_Static_assert(offsetof(struct zcreq_uring_options, ops_arg) + sizeof(void *) ==
		       sizeof(struct zcreq_uring_options), "padding at the end");

START_TEST(options_out_of_range_make_no_ring)
{
	struct zcreq_uring_ops ops = script_ops;
	static struct io_uring programs;

	options.ops = &ops;
	switch (_i) {
	case 0: options.entries = 32769; break;
	case 1: options.ring = &programs; break;
	case 2: ops.get_sqe = NULL; break;
	case 3: ops.submit = NULL; break;
	case 4: ops.peek = NULL; break;
	case 5: ops.run = NULL; break;
	case 6: ops.eventfd = NULL; break;
	case 7: ops.register_buffers = NULL; break;
	case 8: options.flags = 1; break;
	case 9: ops.reserved[0] = anything; break;
	case 10: ops.reserved[3] = anything; break;
	default: options.size--;
	}
	expect_no_ring(-EINVAL);
}
END_TEST

START_TEST(the_most_entries_are_allowed)
{
	options.entries = 32768;
	ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), 0);
}
END_TEST

START_TEST(null_makes_no_ring)
{
	struct zcreq_uring *none = (struct zcreq_uring *)&stub;

	ck_assert_int_eq(zcreq_uring_new(context, &options, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_uring_new(NULL, &options, &none), -EINVAL);
	ck_assert_ptr_null(none);
}
END_TEST

START_TEST(a_ring_that_cannot_be_asked_is_refused)
{
	script.head = script.tail;
	if (_i == 0)
		script.room = 0;
	else if (_i == 1)
		script.submit_error = -EIO;
	else
		script.peek_error = -EIO;
	expect_no_ring(_i == 0 ? -EBUSY : -EIO);
}
END_TEST

START_TEST(no_memory_for_a_ring)
{
	int ret;

	wrap_alloc_fail(true);
	ret = zcreq_uring_new(context, &options, &uring);
	wrap_alloc_fail(false);
	ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_ptr_null(uring);
}
END_TEST

/* An old kernel says EINVAL to a flag that it does not know; silence is no answer. */
START_TEST(the_usage_flag_is_asked_for_where_it_is_known)
{
	static const struct {
		int res;
		bool answers, known;
	} rows[] = {{-EBADF, true, true}, {-EINVAL, true, false}, {0, false, false}};

	script.head = script.tail;
	if (rows[_i].answers)
		script_post(&script, 0, rows[_i].res, 0);
	ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), 0);
	ck_assert_uint_eq(script.entries[0].opcode, IORING_OP_SEND_ZC);
	ck_assert_int_eq(script.entries[0].fd, -1);
	ck_assert_uint_eq(script.entries[0].ioprio, REPORT_USAGE);
	ck_assert_uint_eq(script.entries[0].user_data,
			  (uint64_t)0x5a << 56 | (uint64_t)0xffffff << 32);
	ck_assert_uint_eq(uring->usage_flag, rows[_i].known ? REPORT_USAGE : 0);
}
END_TEST

/* ---- its descriptor --------------------------------------------------------- */

START_TEST(the_descriptor_is_made_once)
{
	int fd = uring->source.fd(uring);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(script.fd, fd);
	ck_assert_int_eq(uring->source.fd(uring), fd);
	ck_assert_uint_eq(script.fds, 1);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	uring = NULL;
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* Once, of what completed before it was made; from then on the ring adds to it. */
START_TEST(the_descriptor_is_readable_at_first)
{
	struct pollfd ready = {.fd = uring->source.fd(uring), .events = POLLIN};
	uint64_t count;

	ck_assert_int_eq(poll(&ready, 1, 0), 1);
	ck_assert_int_eq(read(ready.fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(uring->source.fd(uring), ready.fd);
	ck_assert_int_eq(poll(&ready, 1, 0), 0);
}
END_TEST

START_TEST(a_descriptor_that_the_ring_refuses_is_closed)
{
	script.eventfd_error = -EBUSY;
	ck_assert_int_eq(uring->source.fd(uring), -EBUSY);
	ck_assert_int_eq(fcntl(script.fd, F_GETFD), -1);
	script.eventfd_error = 0;
	ck_assert_int_ge(uring->source.fd(uring), 0);
}
END_TEST

/* Where the context has a descriptor, the ring takes its part behind it or is not made. */
START_TEST(a_ring_that_cannot_wake_is_not_made)
{
	struct zcreq_uring *other = NULL;

	ck_assert_int_ge(zcreq_context_fd(context), 0);
	script.eventfd_error = -EBUSY;
	script_post(&script, (uint64_t)0x5a << 56 | (uint64_t)0xffffff << 32, -EBADF, 0);
	ck_assert_int_eq(zcreq_uring_new(context, &options, &other), -EBUSY);
	ck_assert_ptr_null(other);
	script.eventfd_error = 0;
}
END_TEST

START_TEST(no_descriptor_is_left)
{
	struct rlimit limit = {0}, old;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit.rlim_max = old.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(uring->source.fd(uring), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	ck_assert_uint_eq(script.fds, 0);
}
END_TEST

/* ---- streams on it ---------------------------------------------------------- */

START_TEST(streams_have_numbers_of_their_own)
{
	enum { MANY = 40 };
	struct zcreq_stream_options stream = stub_options(&stub);
	const struct iovec iov = {.iov_base = data, .iov_len = 10};
	struct zcreq_conn *conns[MANY], *again;
	bool seen[64] = {false};

	for (unsigned i = 0; i < MANY; i++) {
		const struct ring_stream *made;

		ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conns[i]), 0);
		ck_assert_uint_eq(uring->count, i + 1);
		ck_assert_uint_eq(uring->capacity, i < 16 ? 16 : i < 32 ? 32 : 64);
		ck_assert_int_eq(zcreq_write(conns[i], iov.iov_base, 1), 0);
		ring_prepare(conns[i]);
		made = uring->streams[script_last(&script)->user_data >> 32 & 63];
		ck_assert_ptr_eq(made->conn, conns[i]);
		ck_assert(!seen[made->number]);
		seen[made->number] = true;
		script_result(&script, 1, false);
		ring_process(uring);
	}
	ck_assert_int_eq(zcreq_uring_free(uring), -EBUSY);
	zcreq_conn_free(conns[7]);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(uring->count, MANY - 1);
	/* a number that has become free does not come back at once */
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &again), 0);
	ck_assert_ptr_nonnull(uring->streams[MANY]);
	zcreq_conn_free(again);
	for (unsigned i = 0; i < MANY; i++) {
		if (i != 7)
			zcreq_conn_free(conns[i]);
	}
	/* they take turns to be disconnected */
	for (unsigned i = 0; i < MANY && uring->count; i++)
		zcreq_turn(context, i);
	ck_assert_uint_eq(uring->count, 0);
}
END_TEST

/* After the last number comes the first that is free. */
START_TEST(numbers_go_round)
{
	struct zcreq_stream_options stream = stub_options(&stub);
	struct zcreq_conn *keeper, *conn;

	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &keeper), 0);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), 0);
		zcreq_conn_free(conn);
		zcreq_turn(context, i);
	}
	ck_assert_uint_eq(uring->capacity, 16);
	ck_assert_ptr_eq(uring->streams[0]->conn, keeper);
	zcreq_conn_free(keeper);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(streams_that_are_refused_leave_nothing)
{
	static const struct zcreq_sender_ops sender;
	struct zcreq_stream_options stream = stub_options(&stub);
	struct zcreq_context *other;
	struct zcreq_conn *conn = NULL;
	int ret;

	ck_assert_int_eq(zcreq_context_new(NULL, &other), 0);
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, NULL, &conn), -EINVAL);
	ck_assert_int_eq(zcreq_uring_stream_open(uring, other, &stream, &conn), -EINVAL);
	stream.sender = &sender;
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), -EINVAL);
	stream.sender = NULL;
	stream.size--;
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), -EINVAL);
	stream.size++;
	stub.getsockopt_error[0] = -EIO;
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), -EIO);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(zcreq_uring_free(uring), 0);
		script_post(&script, 0, -EBADF, 0);
		ck_assert_int_eq(zcreq_uring_new(context, &options, &uring), 0);
		wrap_alloc_fail_after(i);
		ret = zcreq_uring_stream_open(uring, context, &stream, &conn);
		ck_assert_int_eq(ret, -ENOMEM);
	}
	uring->count = uring->capacity = 1 << 23;
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), -ENOSPC);
	uring->count = uring->capacity = 0;
	ck_assert_ptr_null(conn);
	ck_assert_uint_eq(uring->count, 0);
	ck_assert_int_eq(zcreq_context_free(other), 0);
}
END_TEST

START_TEST(without_a_ring_it_is_a_plain_stream)
{
	struct zcreq_stream_options stream = stub_options(&stub);
	struct zcreq_conn *conn;

	ck_assert_int_eq(zcreq_uring_stream_open(NULL, context, &stream, &conn), 0);
	ck_assert_int_eq(zcreq_write(conn, data, 10), 0);
	ring_prepare(conn);
	ck_assert_uint_eq(stub.zerocopy_bytes, 10);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
}
END_TEST

static void free_while_running(struct ring_script *s)
{
	(void)s;
	ck_assert_int_eq(zcreq_uring_free(uring), -EBUSY);
	ck_assert_int_eq(zcreq_ring_turn(uring), 0);
}

START_TEST(a_ring_at_work_is_not_freed)
{
	struct zcreq_stream_options stream = stub_options(&stub);
	struct zcreq_conn *conn;

	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), 0);
	ck_assert_int_eq(zcreq_write(conn, data, 10), 0);
	ring_prepare(conn);
	script.on_run = free_while_running;
	script_result(&script, -EPIPE, false);
	ck_assert_int_eq(zcreq_ring_turn(uring), 1);
	ck_assert_uint_ge(script.runs, 1);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	uring->work = RING_WORKS;
	ck_assert_int_eq(zcreq_uring_free(uring), -EBUSY);
	uring->work = RING_RESTS;
	ck_assert_int_eq(zcreq_uring_free(NULL), 0);
}
END_TEST

START_TEST(every_cell_of_its_work_is_written_out)
{
	table_is_whole(zcreq_ring_table);
}
END_TEST

/* ---- one thing wrong at a time ------------------------------------------------ */

static void works_for_ever(void) { uring->work = RING_WORKS; }
static void is_in_no_state(void) { uring->work = 0; }
static void has_one_stream_more(void) { uring->count++; }
static void waits_for_one_more(void) { uring->in_flight++; }
static void misplaces_a_stream(void) { uring->streams[0]->number++; }
static void leaves_a_stream_in_a_round(void) { uring->streams[0]->first = 0; }
static void leaves_a_completion(void) { uring->round_count++; }
static void has_buffers_that_overlap(void) { uring->buffers[1].start--; }
static void has_a_buffer_of_no_index(void) { uring->buffers[0].index = 2; }
static void has_an_empty_buffer(void) { uring->buffers[1].end = uring->buffers[1].start; }
static void has_buffers_of_nobody(void) { uring->buffer_count = 0; }

static void (*const breaches[])(void) = {
	works_for_ever, is_in_no_state, has_one_stream_more, waits_for_one_more,
	misplaces_a_stream, leaves_a_stream_in_a_round, leaves_a_completion,
	has_buffers_that_overlap, has_a_buffer_of_no_index, has_an_empty_buffer,
	has_buffers_of_nobody,
};

START_TEST(a_breach_is_noticed)
{
	const struct iovec buffers[] = {{data, 4096}, {data + 4096, 4096}};
	struct zcreq_stream_options stream = stub_options(&stub);
	struct zcreq_conn *conn;

	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), 0);
	ck_assert_int_eq(zcreq_uring_register(uring, buffers, 2), 0);
	zcreq_uring_check(uring);
	breaches[_i]();
	broken_expected();
	zcreq_uring_check(uring);
}
END_TEST

/* ---- registered memory ------------------------------------------------------ */

START_TEST(pages_of_registered_buffers_are_known)
{
	static char around[4 * 4096] __attribute__((aligned(4096)));
	const struct iovec buffer = {around + 4096 + 100, 100};
	const struct iovec none[] = {{around, 4096}, {around + 2 * 4096, 4096}};
	const struct iovec near[] = {{around, 10}, {around + 4096 + 300, 10}};

	ck_assert(!zcreq_ring_has_any(uring, near, 2));
	ck_assert_int_eq(zcreq_uring_register(uring, &buffer, 1), 0);
	ck_assert(!zcreq_ring_has_any(uring, none, 2));
	ck_assert(zcreq_ring_has_any(uring, near, 2));
}
END_TEST


START_TEST(buffers_out_of_range_are_refused)
{
	static struct iovec many[16385];
	struct iovec iov[3] = {{data, 100}, {data + 200, 100}, {data + 100, 100}};

	for (unsigned i = 0; i < COUNT(many); i++)
		many[i] = (struct iovec){data + i, 1};
	ck_assert_int_eq(zcreq_uring_register(NULL, iov, 3), -EINVAL);
	ck_assert_int_eq(zcreq_uring_register(uring, NULL, 3), -EINVAL);
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 0), -EINVAL);
	ck_assert_int_eq(zcreq_uring_register(uring, many, 16385), -EINVAL);
	ck_assert_int_eq(zcreq_uring_register(uring, many, 16384), 0);
	ck_assert_uint_eq(script.registered, 16384);
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), -EBUSY);
	ck_assert_int_eq(zcreq_uring_unregister(uring), 0);
	ck_assert_uint_eq(script.registered, 0);
	iov[1].iov_base = data + 199;
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), -EINVAL);
	iov[1].iov_base = NULL;
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), -EINVAL);
	iov[1] = (struct iovec){data + 200, 0};
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), -EINVAL);
	iov[1] = (struct iovec){data + 200, UINTPTR_MAX - (uintptr_t)(data + 200) + 1};
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), -EINVAL);
	iov[1].iov_len--;
	ck_assert_int_eq(zcreq_uring_register(uring, iov, 3), 0);
}
END_TEST

START_TEST(the_rings_refusal_is_returned)
{
	const struct iovec iov = {data, 100};
	int ret;

	script.register_error = -ENOMEM;
	ck_assert_int_eq(zcreq_uring_register(uring, &iov, 1), -ENOMEM);
	ck_assert_int_eq(zcreq_uring_unregister(uring), -ENOENT);
	script.register_error = 0;
	wrap_alloc_fail(true);
	ret = zcreq_uring_register(uring, &iov, 1);
	wrap_alloc_fail(false);
	ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_int_eq(zcreq_uring_register(uring, &iov, 1), 0);
	script.register_error = -EBUSY;
	ck_assert_int_eq(zcreq_uring_unregister(uring), -EBUSY);
	ck_assert_int_eq(zcreq_uring_register(uring, &iov, 1), -EBUSY);
	script.register_error = 0;
	ck_assert_int_eq(zcreq_uring_unregister(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_uring_free(uring), 0);
	ck_assert_uint_eq(script.registered, 0);
	uring = NULL;
}
END_TEST

/* Each place around three buffers, two of which touch. */
START_TEST(an_address_is_found_in_its_buffer)
{
	const struct iovec iov[] = {{data + 300, 100}, {data + 100, 100}, {data + 200, 50}};

	ck_assert_int_eq(zcreq_uring_register(uring, iov, COUNT(iov)), 0);
	for (unsigned at = 90; at < 410; at++) {
		for (unsigned len = 1; len < 120; len++) {
			const struct iovec part = {data + at, len};
			int expected = -1;

			for (unsigned i = 0; i < COUNT(iov); i++) {
				const char *start = iov[i].iov_base;

				if (data + at >= start &&
				    data + at + len <= start + iov[i].iov_len)
					expected = (int)i;
			}
			CLAIM(zcreq_ring_buffer_of(uring, &part) == expected);
		}
	}
}
END_TEST

/* A header, a registered buffer, a trailer: what each of them is submitted as. */
START_TEST(registered_memory_is_sent_by_itself)
{
	static const struct {
		unsigned header, body;
		bool splits, copies;
	} rows[] = {
		{24, 16384, true, true}, {24, 16383, false, false}, {4096, 16384, true, true},
		{4097, 16384, true, false}, {24, 32768, true, true},
		{24, 32769, false, false}, /* one byte of it is not registered */
	};
	struct zcreq_stream_options stream = stub_options(&stub);
	const struct iovec fixed = {data + 8192, 32768};
	const unsigned half = rows[_i].header / 2;
	const struct iovec iov[] = {
		{data, half}, {data + half, rows[_i].header - half},
		{data + 8192, rows[_i].body}, {data + 60000, 8},
	};
	struct heard heard = {0};
	struct zcreq_conn *conn;
	const struct io_uring_sqe *sqe;

	uring->in_flight = 1;
	ck_assert_int_eq(zcreq_uring_register(uring, &fixed, 1), -EBUSY);
	uring->in_flight = 0;
	ck_assert_int_eq(zcreq_uring_register(uring, &fixed, 1), 0);
	ck_assert_int_eq(zcreq_uring_stream_open(uring, context, &stream, &conn), 0);
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_add(context, heard.id, iov, COUNT(iov), 0),
			 0);
	ring_prepare(conn);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	sqe = script_last(&script);
	ck_assert_uint_eq(sqe->opcode, rows[_i].copies ? IORING_OP_SENDMSG : IORING_OP_SENDMSG_ZC);
	ck_assert_uint_eq(sqe->msg_flags, MSG_NOSIGNAL | (rows[_i].copies ? MSG_MORE : MSG_EOR));
	ck_assert_int_eq(zcreq_uring_register(uring, &fixed, 1), -EBUSY);
	ck_assert_int_eq(zcreq_uring_unregister(uring), -EBUSY);
	if (!rows[_i].splits) {
		script_result(&script, (int)(rows[_i].header + rows[_i].body + 8), false);
	} else {
		script_result(&script, (int)rows[_i].header, false);
		ring_process(uring);
		sqe = script_last(&script);
		ck_assert_uint_eq(sqe->opcode, IORING_OP_SEND_ZC);
		ck_assert_uint_eq(sqe->ioprio, IORING_RECVSEND_FIXED_BUF | REPORT_USAGE);
		ck_assert_uint_eq(sqe->buf_index, 0);
		ck_assert_uint_eq(sqe->addr, (uintptr_t)(data + 8192));
		ck_assert_uint_eq(sqe->len, rows[_i].body);
		ck_assert_uint_eq(sqe->msg_flags, MSG_NOSIGNAL | MSG_EOR);
		script_result(&script, (int)rows[_i].body, false);
		ring_process(uring);
		ck_assert_uint_eq(script_last(&script)->opcode, IORING_OP_SENDMSG_ZC);
		script_result(&script, 8, false);
	}
	ring_process(uring);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *made = tcase_create("made"), *used = tcase_create("used");
	TCase *broken = tcase_create("broken");

	tcase_add_checked_fixture(made, setup, teardown);
	tcase_add_loop_test(made, options_out_of_range_make_no_ring, 0, 12);
	tcase_add_test(made, the_most_entries_are_allowed);
	tcase_add_test(made, null_makes_no_ring);
	tcase_add_loop_test(made, a_ring_that_cannot_be_asked_is_refused, 0, 3);
	tcase_add_test(made, no_memory_for_a_ring);
	tcase_add_loop_test(made, the_usage_flag_is_asked_for_where_it_is_known, 0, 3);
	suite_add_tcase(s, made);

	tcase_add_checked_fixture(broken, setup_ring, NULL);
	tcase_add_loop_exit_test(broken, a_breach_is_noticed, BROKEN_NOTICED, 0, COUNT(breaches));
	suite_add_tcase(s, broken);
	tcase_add_checked_fixture(used, setup_ring, teardown);
	tcase_add_test(used, the_descriptor_is_made_once);
	tcase_add_test(used, the_descriptor_is_readable_at_first);
	tcase_add_test(used, a_descriptor_that_the_ring_refuses_is_closed);
	tcase_add_test(used, a_ring_that_cannot_wake_is_not_made);
	tcase_add_test(used, no_descriptor_is_left);
	tcase_add_test(used, streams_have_numbers_of_their_own);
	tcase_add_test(used, numbers_go_round);
	tcase_add_test(used, streams_that_are_refused_leave_nothing);
	tcase_add_test(used, without_a_ring_it_is_a_plain_stream);
	tcase_add_test(used, a_ring_at_work_is_not_freed);
	tcase_add_test(used, every_cell_of_its_work_is_written_out);
	tcase_add_test(used, pages_of_registered_buffers_are_known);
	tcase_add_test(used, buffers_out_of_range_are_refused);
	tcase_add_test(used, the_rings_refusal_is_returned);
	tcase_add_test(used, an_address_is_found_in_its_buffer);
	tcase_add_loop_test(used, registered_memory_is_sent_by_itself, 0, 6);
	suite_add_tcase(s, used);
	return suite_run(s);
}
