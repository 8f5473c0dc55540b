/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_input.c - bad input: a documented error, and nothing lost by it
 *
 * On real sockets. After each of these tests the context, its one connection and
 * its one request still work: bytes go through, the request is released, nothing
 * is leaked, and only documented counters have moved.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/emulated.h"
#include "support/recorder.h"

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_conn *conn, *bare;
static struct heard heard, bare_heard;
static zcreq_hold hold;
static int peer;
static char data[100];
static const struct iovec one = {.iov_base = data, .iov_len = sizeof(data)};
static uint64_t stale; /* that the test has earned */

/* ---- sockets of all kinds ------------------------------------------------- */

static int bound(int family, int type)
{
	struct sockaddr_in6 any = {.sin6_family = family}; /* as sockaddr_in is all zero too */
	int fd = socket(family, type, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any,
			      family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(any)), 0);
	return fd;
}

static int listening(void)
{
	int fd = bound(AF_INET, SOCK_STREAM);

	ck_assert_int_eq(listen(fd, 4), 0);
	return fd;
}

/* Both ends of a TCP connection. */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int listener = listening();

	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&addr, len), 0);
	fds[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(fds[1], 0);
	close(listener);
}

static int unix_stream(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	close(fds[1]);
	return fds[0];
}

static int unix_packets(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	close(fds[1]);
	return fds[0];
}

static int udp(void)
{
	return bound(AF_INET, SOCK_DGRAM);
}

static int unconnected(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int unconnected6(void)
{
	return bound(AF_INET6, SOCK_STREAM);
}

/* The peer has reset it, and nobody has noticed. */
static int was_reset(void)
{
	const struct linger reset = {.l_onoff = 1};
	struct pollfd pollfd = {.events = POLLIN};
	int fds[2];

	tcp_pair(fds);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fds[1]);
	pollfd.fd = fds[0];
	ck_assert_int_eq(poll(&pollfd, 1, 1000), 1);
	return fds[0];
}

static int disconnected(void)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	int fds[2];

	tcp_pair(fds);
	ck_assert_int_eq(connect(fds[0], &nowhere, sizeof(nowhere)), 0);
	close(fds[1]);
	return fds[0];
}

static int not_a_socket(void)
{
	return open("/dev/null", O_RDWR);
}

static int closed(void)
{
	int fd = not_a_socket();

	close(fd);
	return fd;
}

static int negative(void)
{
	return -1;
}

/* ---- the fixture ---------------------------------------------------------- */

static struct zcreq_stream_options options_for(int fd)
{
	return (struct zcreq_stream_options){
		.size = sizeof(struct zcreq_stream_options), .fd = fd,
		.mode = ZCREQ_MODE_NEVER,
	};
}

static void setup(void)
{
	struct zcreq_stream_options options;
	int fds[2];

	context = counting_context(&memory, 0);
	tcp_pair(fds);
	options = options_for(fds[0]);
	peer = fds[1];
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	heard_begin(conn, &heard);
	heard_begin(bare, &bare_heard);
	hold = heard_take(context, &heard);
}

/* Nothing was lost: the request still does what it was begun for. */
static void teardown(void)
{
	char got[2 * sizeof(data)];

	ck_assert_uint_eq(stats_of(context).begun, 2);
	ck_assert_uint_eq(stats_of(context).stale_handles, stale);
	ck_assert_uint_eq(stats_of(context).holds_now, 1);
	ck_assert_uint_eq(stats_of(context).connections_now, 2);
	ck_assert_uint_eq(stats_of(context).aborted, 0);
	ck_assert_int_eq(zcreq_request_state(context, heard.id), ZCREQ_STATE_OPEN);
	ck_assert_int_eq(zcreq_add(context, heard.id, &one, 1, 0), 0);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, bare_heard.id, 0), 0);
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(bare_heard.released, 1);
	ck_assert_int_eq(recv(peer, got, sizeof(got), 0), sizeof(data));
	zcreq_conn_free(conn);
	zcreq_conn_free(bare);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
	close(peer);
}

/* ---- opening -------------------------------------------------------------- */

START_TEST(a_descriptor_of_the_wrong_kind_is_refused_and_stays_open)
{
	static const struct {
		int (*make)(void);
		int error;
	} kinds[] = {
		{negative, -EBADF},
		{closed, -EBADF},
		{not_a_socket, -ENOTSOCK},
		{udp, -EPROTOTYPE},
		{unix_packets, -EPROTOTYPE},
		{unix_stream, -EPROTONOSUPPORT},
		{listening, -ENOTCONN},
		{unconnected, -ENOTCONN},
		{unconnected6, -ENOTCONN},
		{was_reset, -ENOTCONN},
		{disconnected, -ENOTCONN},
	};
	struct zcreq_stream_options options = options_for(kinds[_i / 3].make());
	struct zcreq_conn *opened = NULL;

	options.mode = _i % 3;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &opened), kinds[_i / 3].error);
	ck_assert_ptr_null(opened);
	if (kinds[_i / 3].error != -EBADF)
		ck_assert_int_eq(close(options.fd), 0);
}
END_TEST

START_TEST(stream_options_out_of_range_are_invalid)
{
	struct zcreq_stream_options options = options_for(peer);
	struct zcreq_conn *opened = NULL;

	if (_i == 0)
		options.mode = ZCREQ_MODE_NEVER + 1;
	else if (_i == 1)
		options.mode = (enum zcreq_mode)-1;
	else if (_i == 2)
		options.not_reading_ms = 1;
	else if (_i == 3)
		options.size = 0;
	else if (_i == 4)
		options.batch_bytes = ZCREQ_BATCH_MAX + 1;
	else
		options.size = sizeof(options) - 1;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &opened), -EINVAL);
	ck_assert_ptr_null(opened);
}
END_TEST

START_TEST(a_larger_options_struct_is_fine_if_its_rest_is_zero)
{
	struct {
		struct zcreq_stream_options options;
		char rest[64];
	} later = {{.size = sizeof(later)}, {0}};
	struct zcreq_conn *opened = NULL;
	int fds[2];

	tcp_pair(fds);
	later.options.fd = fds[0];
	later.rest[_i] = 1;
	ck_assert_int_eq(zcreq_stream_open(context, &later.options, &opened), -E2BIG);
	ck_assert_ptr_null(opened);
	later.rest[_i] = 0;
	ck_assert_int_eq(zcreq_stream_open(context, &later.options, &opened), 0);
	zcreq_conn_free(opened);
	zcreq_turn(context, 0);
	close(fds[1]);
}
END_TEST

START_TEST(conn_options_of_a_wrong_size)
{
	struct {
		struct zcreq_conn_options options;
		char rest[64];
	} later = {{.size = sizeof(later.options)}, {0}};
	struct zcreq_conn *opened = NULL;

	later.options.size = sizeof(later.options) - 1;
	ck_assert_int_eq(zcreq_conn_open(context, &later.options, &opened), -EINVAL);
	later.options.size = SIZE_MAX;
	ck_assert_int_eq(zcreq_conn_open(context, &later.options, &opened), -EINVAL);
	later.options.size = sizeof(later);
	later.rest[_i] = 1;
	ck_assert_int_eq(zcreq_conn_open(context, &later.options, &opened), -E2BIG);
	ck_assert_ptr_null(opened);
	later.rest[_i] = 0;
	ck_assert_int_eq(zcreq_conn_open(context, &later.options, &opened), 0);
	zcreq_conn_free(opened);
	zcreq_turn(context, 0);
}
END_TEST

static void *no_calloc(size_t count, size_t size, void *arg)
{
	(void)count;
	(void)size;
	(void)arg;
	return NULL;
}

static void no_free(void *block, void *arg)
{
	(void)block;
	(void)arg;
}

START_TEST(context_options_out_of_range)
{
	struct {
		struct zcreq_context_options options;
		char rest[8];
	} later = {{.size = sizeof(later.options)}, {0}};
	struct zcreq_allocator allocator = {.calloc = _i & 1 ? no_calloc : NULL,
					    .free = _i & 2 ? no_free : NULL};
	struct zcreq_context *made = NULL;

	ck_assert_int_eq(zcreq_context_new(NULL, NULL), -EINVAL);
	later.options.allocator = &allocator;
	ck_assert_int_eq(zcreq_context_new(&later.options, &made), _i == 3 ? -ENOMEM : -EINVAL);
	later.options.allocator = NULL;
	later.options.max_requests = ZCREQ_MAX_REQUESTS + 1;
	ck_assert_int_eq(zcreq_context_new(&later.options, &made), -EINVAL);
	later.options.max_requests = ZCREQ_MAX_REQUESTS;
	later.options.size--;
	ck_assert_int_eq(zcreq_context_new(&later.options, &made), -EINVAL);
	later.options.size = sizeof(later);
	later.rest[_i] = 1;
	ck_assert_int_eq(zcreq_context_new(&later.options, &made), -E2BIG);
	ck_assert_ptr_null(made);
	later.rest[_i] = 0;
	ck_assert_int_eq(zcreq_context_new(&later.options, &made), 0);
	ck_assert_int_eq(zcreq_context_free(made), 0);
}
END_TEST

/* ---- NULL ----------------------------------------------------------------- */

START_TEST(null_is_an_error_wherever_it_is_not_allowed)
{
	const zcreq_id id = heard.id;
	zcreq_hold more = {0};
	zcreq_id begun = {0};

	ck_assert_int_eq(zcreq_begin(NULL, &heard_ops, NULL, 0, &begun), -EINVAL);
	ck_assert_int_eq(zcreq_begin(conn, NULL, NULL, 0, &begun), -EINVAL);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, NULL, 1, &begun), -EINVAL);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_begin(conn, &(const struct zcreq_request_hooks){
				0,
			}, NULL, 0, &begun), -EINVAL);
	ck_assert_int_eq(zcreq_finish(NULL, id, 0), -EINVAL);
	ck_assert_int_eq(zcreq_take(NULL, id, &more), -EINVAL);
	ck_assert_int_eq(zcreq_take(context, id, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_drop(NULL, hold, 0), -EINVAL);
	ck_assert_int_eq(zcreq_abort(NULL, id, -EIO), -EINVAL);
	ck_assert_int_eq(zcreq_request_state(NULL, id), -EINVAL);
	ck_assert_int_eq(zcreq_add(NULL, id, &one, 1, 0), -EINVAL);
	ck_assert_int_eq(zcreq_add(context, id, NULL, 1, 0), -EINVAL);
	ck_assert_int_eq(zcreq_write(NULL, data, 1), -EINVAL);
	ck_assert_int_eq(zcreq_write(conn, NULL, 1), -EINVAL);
	ck_assert_uint_eq(begun.bits + more.bits, 0);
}
END_TEST

START_TEST(null_is_an_error_on_connections_and_contexts_too)
{
	struct zcreq_stream_options options = options_for(peer);
	struct zcreq_stats stats;
	struct zcreq_conn *opened = NULL;
	char text[8];

	ck_assert_int_eq(zcreq_conn_open(NULL, NULL, &opened), -EINVAL);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_stream_open(NULL, &options, &opened), -EINVAL);
	ck_assert_int_eq(zcreq_stream_open(context, NULL, &opened), -EINVAL);
	ck_assert_int_eq(zcreq_stream_open(context, &options, NULL), -EINVAL);
	ck_assert_ptr_null(opened);
	ck_assert_int_eq(zcreq_conn_abort(NULL, -EIO), -EINVAL);
	ck_assert_int_eq(zcreq_conn_drain(NULL, 0), -EINVAL);
	zcreq_conn_free(NULL);
	ck_assert_int_eq(zcreq_conn_state(NULL), -EINVAL);
	ck_assert_ptr_null(zcreq_conn_context(NULL));
	ck_assert_ptr_null(zcreq_conn_arg(NULL));
	ck_assert_int_eq(zcreq_process(NULL, POLLOUT), -EINVAL);
	ck_assert_int_eq(zcreq_events(NULL), 0);
	ck_assert_int_eq(zcreq_stream_reading(NULL, true), -EINVAL);
	ck_assert_int_eq(zcreq_stream_fd(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_context_free(NULL), 0);
	ck_assert_int_eq(zcreq_context_fd(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_add(NULL, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_source_remove(NULL, NULL), -EINVAL);
	ck_assert_uint_eq(zcreq_turn(NULL, 1), ZCREQ_NEVER);
	ck_assert_int_eq(zcreq_context_stats(NULL, &stats, sizeof(stats)), -EINVAL);
	ck_assert_int_eq(zcreq_context_stats(context, NULL, sizeof(stats)), -EINVAL);
	ck_assert_int_eq(zcreq_context_stats(context, &stats, 0), -EINVAL);
	ck_assert_int_eq(zcreq_conn_explain(NULL, ZCREQ_TEXT, text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(zcreq_conn_explain(conn, ZCREQ_TEXT, NULL, 1), -EINVAL);
	ck_assert_int_eq(zcreq_request_explain(NULL, heard.id, ZCREQ_TEXT, text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(zcreq_request_explain(context, heard.id, ZCREQ_TEXT, NULL, 1), -EINVAL);
}
END_TEST

/* ---- sends ---------------------------------------------------------------- */

START_TEST(sends_of_a_wrong_shape_are_refused)
{
	static struct iovec many[ZCREQ_IOV_MAX + 1];
	static const struct iovec empty[3] = {{data, 0}, {NULL, 0}, {data, 0}};
	static const int counts[] = {0, -1, INT_MIN};

	for (unsigned i = 0; i < COUNT(counts); i++)
		ck_assert_int_eq(zcreq_add(context, heard.id, &one, counts[i], 0), -EINVAL);
	ck_assert_int_eq(zcreq_add(context, heard.id, empty, 3, 0), -EINVAL);
	ck_assert_int_eq(zcreq_add(context, heard.id, empty, 1, 0), -EINVAL);
	for (unsigned i = 0; i < COUNT(many); i++)
		many[i] = one;
	ck_assert_int_eq(zcreq_add(context, heard.id, many, COUNT(many), 0), -EMSGSIZE);
	ck_assert_int_eq(zcreq_add(context, heard.id, many, INT_MAX, 0), -EMSGSIZE);
}
END_TEST

START_TEST(an_unknown_flag_is_refused)
{
	ck_assert_int_eq(zcreq_add(context, heard.id, &one, 1, 1u << _i), -EINVAL);
}
END_TEST

START_TEST(lengths_that_overflow_are_refused)
{
	static const size_t lens[][3] = {
		{(size_t)SSIZE_MAX + 1, 0, 0}, {SIZE_MAX, 0, 0}, {SSIZE_MAX, 1, 0},
		{1, SSIZE_MAX, 0}, {SIZE_MAX, 1, 0}, {SIZE_MAX, 2, 0},
		{SSIZE_MAX, SSIZE_MAX, 2}, {SSIZE_MAX, SSIZE_MAX, SSIZE_MAX},
		{SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, 100},
	};
	struct iovec iov[3];

	for (unsigned i = 0; i < 3; i++)
		iov[i] = (struct iovec){data, lens[_i][i]};
	ck_assert_int_eq(zcreq_add(context, heard.id, iov, 3, 0), -EOVERFLOW);
}
END_TEST

START_TEST(writes_of_a_wrong_length_are_refused)
{
	static char large[ZCREQ_WRITE_MAX + 1];

	ck_assert_int_eq(zcreq_write(conn, data, 0), -EINVAL);
	ck_assert_int_eq(zcreq_write(conn, large, sizeof(large)), -EMSGSIZE);
	ck_assert_int_eq(zcreq_write(conn, large, SIZE_MAX), -EMSGSIZE);
}
END_TEST

START_TEST(a_connection_without_a_socket_takes_no_sends)
{
	ck_assert_int_eq(zcreq_add(zcreq_conn_context(bare), bare_heard.id, &one, 1, 0), -EINVAL);
	ck_assert_int_eq(zcreq_write(bare, data, 1), -EINVAL);
	ck_assert_int_eq(zcreq_stream_reading(bare, true), -EINVAL);
	ck_assert_int_eq(zcreq_process(bare, POLLOUT), -EINVAL);
	ck_assert_int_eq(zcreq_events(bare), 0);
	ck_assert_int_eq(zcreq_stream_fd(bare), -EINVAL);
}
END_TEST

START_TEST(a_request_of_another_connection_is_refused)
{
	ck_assert_int_eq(zcreq_add(context, bare_heard.id, &one, 1, 0), -EINVAL);
}
END_TEST

START_TEST(i3_handles_of_another_context_are_stale)
{
	const struct zcreq_context_options options = {.size = sizeof(options)};
	struct zcreq_context *other;
	struct zcreq_conn *other_conn;
	struct heard there = {0};
	zcreq_hold more;

	ck_assert_int_eq(zcreq_context_new(&options, &other), 0);
	ck_assert_int_eq(zcreq_conn_open(other, NULL, &other_conn), 0);
	heard_begin(other_conn, &there);
	ck_assert_int_eq(zcreq_add(context, there.id, &one, 1, 0), -ESTALE);
	ck_assert_int_eq(zcreq_finish(context, there.id, 0), -ESTALE);
	ck_assert_int_eq(zcreq_take(context, there.id, &more), -ESTALE);
	ck_assert_int_eq(zcreq_drop(other, hold, 0), -ESTALE);
	stale = 3;
	ck_assert_int_eq(zcreq_context_free(other), -EBUSY);
	ck_assert_int_eq(zcreq_finish(other, there.id, 0), 0);
	zcreq_conn_free(other_conn);
	zcreq_turn(other, 0);
	ck_assert_uint_eq(there.released, 1);
	ck_assert_int_eq(zcreq_context_free(other), 0);
}
END_TEST

START_TEST(a_wrong_status_is_refused_and_changes_nothing)
{
	static const int wrong[] = {1, EIO, INT_MAX};

	ck_assert_int_eq(zcreq_finish(context, heard.id, wrong[_i]), -EINVAL);
	ck_assert_int_eq(zcreq_drop(context, hold, wrong[_i]), -EINVAL);
	ck_assert_int_eq(zcreq_abort(context, heard.id, wrong[_i]), -EINVAL);
	ck_assert_int_eq(zcreq_conn_abort(conn, wrong[_i]), -EINVAL);
	ck_assert_int_eq(zcreq_abort(context, heard.id, 0), -EINVAL);
	ck_assert_int_eq(zcreq_conn_abort(conn, 0), -EINVAL);
}
END_TEST

START_TEST(errno_is_left_alone)
{
	struct zcreq_stream_options options = options_for(-1);
	struct zcreq_conn *opened;

	errno = 4711;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &opened), -EBADF);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(errno, 4711);
}
END_TEST

START_TEST(a_context_in_use_is_not_freed)
{
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
}
END_TEST

static void add_opening(Suite *s)
{
	TCase *opening = tcase_create("opening");

	tcase_add_checked_fixture(opening, setup, teardown);
	tcase_add_loop_test(opening, a_descriptor_of_the_wrong_kind_is_refused_and_stays_open, 0,
			    11 * 3);
	tcase_add_loop_test(opening, stream_options_out_of_range_are_invalid, 0, 6);
	tcase_add_loop_test(opening, a_larger_options_struct_is_fine_if_its_rest_is_zero, 0, 64);
	tcase_add_loop_test(opening, conn_options_of_a_wrong_size, 0, 64);
	tcase_add_loop_test(opening, context_options_out_of_range, 0, 4);
	suite_add_tcase(s, opening);
}

static void add_calls(Suite *s)
{
	TCase *calls = tcase_create("calls");

	tcase_add_checked_fixture(calls, setup, teardown);
	tcase_add_test(calls, null_is_an_error_wherever_it_is_not_allowed);
	tcase_add_test(calls, null_is_an_error_on_connections_and_contexts_too);
	tcase_add_test(calls, sends_of_a_wrong_shape_are_refused);
	tcase_add_loop_test(calls, an_unknown_flag_is_refused, 0, 32);
	tcase_add_loop_test(calls, lengths_that_overflow_are_refused, 0, 9);
	tcase_add_test(calls, writes_of_a_wrong_length_are_refused);
	tcase_add_test(calls, a_connection_without_a_socket_takes_no_sends);
	tcase_add_test(calls, a_request_of_another_connection_is_refused);
	tcase_add_test(calls, i3_handles_of_another_context_are_stale);
	tcase_add_loop_test(calls, a_wrong_status_is_refused_and_changes_nothing, 0, 3);
	tcase_add_test(calls, errno_is_left_alone);
	tcase_add_test(calls, a_context_in_use_is_not_freed);
	suite_add_tcase(s, calls);
}

int main(void)
{
	Suite *s = suite_create("input");

	if (emulated_tcp())
		return 77;
	add_opening(s);
	add_calls(s);
	return suite_run(s);
}
