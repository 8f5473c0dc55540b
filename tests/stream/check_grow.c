/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_grow.c - what a later version may give a meaning to is refused by this one
 *
 * Flags of options that are not known, and reserved members of tables of functions. And no
 * options struct ends with padding: a later version could take it for a member, and an
 * older program may have anything in it. A program that was compiled with 0.1.0 is served: its
 * structs have the size that they had there, and nothing behind them is read.
 */
#include "support/suite.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zcreq/guard.h>

#include "support/scene.h"

#define ENDS_WITH(type, member) \
	_Static_assert(offsetof(struct type, member) + sizeof(((struct type *)0)->member) == \
			       sizeof(struct type), "padding at the end")

ENDS_WITH(zcreq_context_options, detached_bytes);
ENDS_WITH(zcreq_conn_options, arg);
ENDS_WITH(zcreq_stream_options, memory_arg);
ENDS_WITH(zcreq_pool_options, buffer_bytes);
ENDS_WITH(zcreq_trace_options, clock_ns);
ENDS_WITH(zcreq_guard_options, arg);

static void anything(void)
{
}

/* Opens a stream as the options are, and closes it again: the scene knows nothing of it. */
static int try_stream(void)
{
	struct zcreq_conn *made = NULL;
	int ret = zcreq_stream_open(context, &options, &made);

	zcreq_conn_free(made);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.closes, made != NULL);
	stub.closes = 0;
	return ret;
}

/* ---- flags: one test for each bit ----------------------------------------------- */

#define BITS 32

/* What a call gives for options with this bit among the flags. */
static void expect_known(int ret, uint32_t bit, uint32_t known)
{
	ck_assert_int_eq(ret, bit & known ? 0 : -EINVAL);
}

START_TEST(a_context_knows_its_flags)
{
	const struct zcreq_context_options o = {.size = sizeof(o), .flags = (uint32_t)1 << _i};
	struct zcreq_context *made = NULL;

	expect_known(zcreq_context_new(&o, &made), o.flags, 0);
	ck_assert_int_eq(zcreq_context_free(made), 0);
}
END_TEST

START_TEST(a_connection_knows_its_flags)
{
	const struct zcreq_conn_options o = {.size = sizeof(o), .flags = (uint32_t)1 << _i};

	expect_known(zcreq_conn_open(context, &o, &conn), o.flags, 0);
}
END_TEST

START_TEST(a_stream_knows_its_flags)
{
	options.flags = (uint32_t)1 << _i;
	expect_known(try_stream(), options.flags,
		     ZCREQ_STREAM_FIRST_ID | ZCREQ_STREAM_OWN_SENDS |
			     ZCREQ_STREAM_KEEP_MEMORY | ZCREQ_STREAM_DETACH);
}
END_TEST

START_TEST(a_trace_knows_its_flags)
{
	static _Alignas(8) char log[4096];
	const struct zcreq_trace_options o = {
		.size = sizeof(o), .flags = (uint32_t)1 << _i,
		.memory = log, .memory_bytes = sizeof(log),
	};

	expect_known(zcreq_trace_start(context, &o), o.flags, 0);
}
END_TEST

/* ---- what is reserved: one test for each member of the largest table ------------- */

#define RESERVED 4

/* Sets one of the reserved members; false: the table has not so many. */
#define SET(table) \
	(_i < (int)COUNT((table).reserved) && ((table).reserved[_i % COUNT((table).reserved)] = \
						       anything))

START_TEST(a_request_takes_no_reserved_hook)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct zcreq_request_hooks with = heard_ops;
	const int refused = SET(with) ? -EINVAL : 0;
	struct heard first = {0}, second = {0};

	ck_assert_int_eq(zcreq_begin(conn, &with, &first, 0, &first.id), refused);
	ck_assert_int_eq(zcreq_send(conn, &with, &second, &iov, 1, 0, &second.id), refused);
	if (refused)
		return;
	ck_assert_int_eq(zcreq_finish(context, first.id, 0), 0);
	zcreq_turn(context, 0);
	scene_prove();
	ck_assert_uint_eq(first.released + second.released, 2);
}
END_TEST

START_TEST(a_connection_takes_no_reserved_hook)
{
	struct zcreq_conn_hooks with = heard_hooks;
	const int refused = SET(with) ? -EINVAL : 0;
	const struct zcreq_conn_options bare = {
		.size = sizeof(bare), .hooks = &with, .arg = &hooks,
	};
	struct zcreq_conn *another = NULL;

	ck_assert_int_eq(zcreq_conn_open(context, &bare, &another), refused);
	zcreq_conn_free(another);
	options.hooks = &with;
	ck_assert_int_eq(try_stream(), refused);
}
END_TEST

START_TEST(a_socket_has_no_reserved_call)
{
	struct zcreq_socket_ops with = stub_ops;
	const int refused = SET(with) ? -EINVAL : 0;

	options.socket_ops = &with;
	ck_assert_int_eq(try_stream(), refused);
	ck_assert_int_eq(stub.getsockopts != 0, !refused);
}
END_TEST

static int submit_nothing(struct zcreq_conn *of, const struct zcreq_submission *submission,
			  void *arg)
{
	(void)of;
	(void)submission;
	(void)arg;
	return -EAGAIN;
}

START_TEST(a_sender_has_no_reserved_call)
{
	struct zcreq_sender_ops with = {.submit = submit_nothing};
	const int refused = SET(with) ? -EINVAL : 0;

	options.sender = &with;
	ck_assert_int_eq(try_stream(), refused);
}
END_TEST

START_TEST(an_allocator_has_no_reserved_call)
{
	struct counting other;
	const struct zcreq_context_options o = {.size = sizeof(o), .allocator = &other.allocator};
	struct zcreq_context *made = NULL;
	int refused;

	counting_init(&other);
	refused = SET(other.allocator) ? -EINVAL : 0;
	ck_assert_int_eq(zcreq_context_new(&o, &made), refused);
	ck_assert_uint_eq(other.calls != 0, !refused);
	counting_end(&other, made);
}
END_TEST

static int turn_nothing(void *arg)
{
	(void)arg;
	return 0;
}

START_TEST(a_source_has_no_reserved_call)
{
	struct zcreq_source with = {.turn = turn_nothing};
	const int refused = SET(with) ? -EINVAL : 0;

	ck_assert_int_eq(zcreq_source_add(context, &with), refused);
	ck_assert_int_eq(zcreq_source_remove(context, &with), refused ? -ENOENT : 0);
}
END_TEST

/* ---- programs that were compiled with an older version ---------------------------- */

/* How large a struct was in 0.1.0: up to its last member of that version. What is added later
 * stands behind it, and changes nothing here. */
#define SIZE_0_1(type, last) \
	(offsetof(struct type, last) + sizeof(((struct type *)0)->last))

static char *old_pages;
static size_t page_bytes;

/* A copy of the first @size bytes of a struct, with memory behind it that nobody can read. */
static const void *old(const void *options_now, size_t size)
{
	char *at = old_pages + page_bytes - size;

	memcpy(at, options_now, size);
	memcpy(at, &size, sizeof(size));
	return at;
}

static void old_setup(void)
{
	scene_setup();
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	old_pages = mmap(NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(old_pages, MAP_FAILED);
	ck_assert_int_eq(mprotect(old_pages + page_bytes, page_bytes, PROT_NONE), 0);
}

START_TEST(a_program_of_0_1_is_served)
{
	static _Alignas(8) char log[4096];
	const struct zcreq_context_options of_context = {.max_requests = 7};
	const struct zcreq_conn_options of_conn = {.arg = log};
	const struct zcreq_trace_options of_trace = {.memory = log, .memory_bytes = sizeof(log)};
	struct zcreq_context *made = NULL;
	struct zcreq_conn *opened = NULL;

	ck_assert_int_eq(zcreq_context_new(old(&of_context, SIZE_0_1(zcreq_context_options, detached_bytes)),
					   &made), 0);
	ck_assert_int_eq(zcreq_conn_open(made, old(&of_conn, SIZE_0_1(zcreq_conn_options, arg)), &opened), 0);
	ck_assert_ptr_eq(zcreq_conn_arg(opened), log);
	zcreq_conn_free(opened);
	zcreq_turn(made, 0);
	ck_assert_int_eq(zcreq_trace_start(made, old(&of_trace, SIZE_0_1(zcreq_trace_options, clock_ns))), 0);
	ck_assert_int_eq(zcreq_context_free(made), 0);
	ck_assert_int_eq(zcreq_stream_open(context, old(&options, SIZE_0_1(zcreq_stream_options, memory_arg)),
					   &opened), 0);
	zcreq_conn_free(opened);
	zcreq_turn(context, 0);
	stub.closes = 0;
}
END_TEST

/* It gets the counters that it knows, and a newer one zeroes for those that it has not. */
START_TEST(statistics_are_as_long_as_the_caller_knows_them)
{
	struct { struct zcreq_stats known; uint64_t later; } stats;
	uint64_t first[2];

	memset(&stats, 0xff, sizeof(stats));
	ck_assert_int_eq(zcreq_context_stats(context, &stats.known, sizeof(stats)), 0);
	ck_assert_uint_eq(stats.later, 0);
	memset(first, 0xff, sizeof(first));
	ck_assert_int_eq(zcreq_context_stats(context, (struct zcreq_stats *)(void *)first, sizeof(first[0])), 0);
	ck_assert_uint_eq(first[0], stats.known.begun);
	ck_assert_uint_eq(first[1], UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("grow");
	TCase *older = tcase_create("older");
	TCase *flags = tcase_create("flags");
	TCase *reserved = tcase_create("reserved");
	TCase *request = tcase_create("request");

	tcase_add_checked_fixture(flags, scene_setup, scene_teardown);
	tcase_add_loop_test(flags, a_context_knows_its_flags, 0, BITS);
	tcase_add_loop_test(flags, a_connection_knows_its_flags, 0, BITS);
	tcase_add_loop_test(flags, a_stream_knows_its_flags, 0, BITS);
	tcase_add_loop_test(flags, a_trace_knows_its_flags, 0, BITS);
	suite_add_tcase(s, flags);
	tcase_add_checked_fixture(reserved, scene_setup, scene_teardown);
	tcase_add_loop_test(reserved, a_connection_takes_no_reserved_hook, 0, RESERVED + 1);
	tcase_add_loop_test(reserved, a_socket_has_no_reserved_call, 0, RESERVED + 1);
	tcase_add_loop_test(reserved, a_sender_has_no_reserved_call, 0, RESERVED + 1);
	tcase_add_loop_test(reserved, an_allocator_has_no_reserved_call, 0, RESERVED + 1);
	tcase_add_loop_test(reserved, a_source_has_no_reserved_call, 0, RESERVED + 1);
	suite_add_tcase(s, reserved);
	tcase_add_checked_fixture(request, scene_setup_open, scene_teardown);
	tcase_add_loop_test(request, a_request_takes_no_reserved_hook, 0, RESERVED + 1);
	suite_add_tcase(s, request);
	tcase_add_checked_fixture(older, old_setup, scene_teardown);
	tcase_add_test(older, a_program_of_0_1_is_served);
	tcase_add_test(older, statistics_are_as_long_as_the_caller_knows_them);
	suite_add_tcase(s, older);
	return suite_run(s);
}
