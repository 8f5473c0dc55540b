/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach_refused.c - what is not detached, and stays as it was
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"
#include "stream/detach_scene.h"

/* The stream, in a context with these limits in place of the scene's. */
static void open_within(struct zcreq_context_options limits)
{
	limits.size = sizeof(limits);
	limits.allocator = &memory.allocator;
	counting_end(&memory, context);
	ck_assert_int_eq(zcreq_context_new(&limits, &context), 0);
	scene_open();
}

START_TEST(a_refusal_leaves_everything_as_it_was)
{
	send_and_abort();
	asked.answer = -EPERM;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EPERM);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EPERM);
	ck_assert_uint_eq(stats_of(context).detach_refused, 2);
	expect_detached(0, 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
	asked.answer = 0;
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

START_TEST(bad_calls_are_refused)
{
	static struct heard other;

	open_and_begin();
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_detach(NULL, heard.id, 0), -EINVAL);
	ck_assert_int_eq(zcreq_detach(context, heard.id, 2), -EINVAL);
	ck_assert_int_eq(zcreq_detach(context, (zcreq_id){1}, 0), -ESTALE);
	ck_assert_int_eq(zcreq_conn_detach(NULL, 0), -EINVAL);
	ck_assert_int_eq(zcreq_conn_detach(conn, 2), -EINVAL);
	/* not aborted */
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EBUSY);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EBUSY);
	scene_finish(0);
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EBUSY);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	stub_prove_all(&stub);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 1);
	/* closed: nothing is lent */
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_uint_eq(asked.calls, 0);
	zcreq_conn_free(conn);
	scene_open_bare();
	heard_begin(conn, &other);
	ck_assert_int_eq(zcreq_detach(context, other.id, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_finish(context, other.id, 0), 0);
}
END_TEST

START_TEST(a_stream_that_was_not_asked_to_keeps_no_note)
{
	options.flags = 0;
	send_and_abort();
	ck_assert_int_eq(zcreq_detach(context, heard.id, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EOPNOTSUPP);
}
END_TEST

START_TEST(options_that_do_not_go_together_are_refused)
{
	static const struct zcreq_memory_ops none = {.exchange = NULL};
	static const struct zcreq_memory_ops newer = {
		.exchange = exchange_note, .reserved = {[2] = (void (*)(void))abort},
	};
	struct zcreq_conn *other;

	options.flags |= ZCREQ_STREAM_OWN_SENDS;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.flags = ZCREQ_STREAM_OWN_SENDS;
	options.detach_ms = 100;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.flags = 0;
	options.detach_ms = 5000;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.linger_ms = 100;
	options.detach_ms = 100;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.detach_ms = 99;
	options.memory_ops = &none;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.memory_ops = &newer;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &other), -EINVAL);
	options.memory_ops = &exchange_noted;
	scene_open();
}
END_TEST

START_TEST(no_more_than_the_context_allows)
{
	open_within((struct zcreq_context_options){.detached_bytes = 30});
	for (int i = 0; i < 4; i++)
		send_pages(&more[i], (size_t)i * 20, 10);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EDQUOT);
	ck_assert_uint_eq(asked.calls, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(zcreq_detach(context, more[i].id, 0), 0);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), -EDQUOT);
	expect_detached(3, 30);
	/* the kernel gives some back */
	stub_notify(&stub, 0, 0, false);
	zcreq_turn(context, 2 * SECOND);
	expect_detached(3, 20);
	ck_assert_int_eq(zcreq_detach(context, more[3].id, 0), 0);
	zcreq_turn(context, 2 * SECOND);
	stub.unproven = 1;
}
END_TEST

START_TEST(without_memory_nothing_is_lent_or_detached)
{
	const struct iovec iov = {pages, 10};
	bool sent = false;

	open_and_begin();
	memory.exhausted = true;
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -ENOMEM);
	memory.exhausted = false;
	for (unsigned at = 1; !sent; at++) {
		memory.fail_at = memory.calls + at;
		sent = !zcreq_add(context, heard.id, &iov, 1, 0);
		memory.fail_at = 0;
	}
	zcreq_turn(context, 0);
	scene_finish(0);
	abort_now();
	memory.exhausted = true;
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -ENOMEM);
	memory.exhausted = false;
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_int_eq(asked.count, 1);
	expect_asked(0, 0, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

/* A request that cannot begin has lent nothing. */
START_TEST(a_send_that_was_refused_is_not_noted)
{
	const struct iovec iov[] = {{pages, 10}, {pages + 2 * PAGE, 10}};

	open_within((struct zcreq_context_options){.max_requests = 1});
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov[0], 1, 0, NULL), 0);
	ck_assert_int_eq(zcreq_send(conn, &silent, NULL, &iov[1], 1, 0, NULL), -EMFILE);
	zcreq_turn(context, 0);
	abort_now();
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), 0);
	ck_assert_int_eq(asked.count, 1);
	expect_asked(0, 0, 10);
	zcreq_turn(context, SECOND);
}
END_TEST

/* Up to the reserve nothing is allocated for the notes either. */
START_TEST(a_reserve_holds_for_the_notes)
{
	options.reserve_sends = 4;
	options.reserve_iovs = 4;
	options.reserve_batches = 4;
	open_and_begin();
	memory.exhausted = true;
	for (int i = 0; i < 4; i++)
		stub_send(conn, heard.id, pages + i * PAGE, 10);
	memory.exhausted = false;
	scene_finish(0);
	scene_prove();
	zcreq_turn(context, SECOND);
	for (unsigned at = 1; at < 8; at++) {
		struct zcreq_conn *other;

		memory.fail_at = memory.calls + at;
		if (!zcreq_stream_open(context, &options, &other)) {
			memory.fail_at = 0;
			zcreq_conn_free(other);
			break;
		}
	}
	memory.fail_at = 0;
}
END_TEST

START_TEST(an_idle_stream_gives_the_notes_back)
{
	long before;

	scene_open();
	before = memory.live;
	for (int i = 0; i < 4; i++)
		send_pages(&more[i], (size_t)i * PAGE, 10);
	scene_prove();
	for (uint64_t s = 1; s < 8; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_int_le(memory.live, before + 2); /* the table of requests */
	ck_assert_ptr_null(zcreq_stream_of(conn)->loans->fifo);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach, refused");
	TCase *test = tcase_create("refused");

	tcase_add_checked_fixture(test, detach_setup, detach_teardown);
	tcase_add_test(test, a_refusal_leaves_everything_as_it_was);
	tcase_add_test(test, bad_calls_are_refused);
	tcase_add_test(test, a_stream_that_was_not_asked_to_keeps_no_note);
	tcase_add_test(test, options_that_do_not_go_together_are_refused);
	tcase_add_test(test, no_more_than_the_context_allows);
	tcase_add_test(test, without_memory_nothing_is_lent_or_detached);
	tcase_add_test(test, a_send_that_was_refused_is_not_noted);
	tcase_add_test(test, a_reserve_holds_for_the_notes);
	tcase_add_test(test, an_idle_stream_gives_the_notes_back);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
