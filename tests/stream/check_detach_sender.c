/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_detach_sender.c - a sender looks addresses up when it likes: not before its result
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/sender_scene.h"

static unsigned exchanges;
static bool is_pinned;

static int note(const struct iovec *lent, int count, unsigned flags, void *arg)
{
	(void)flags;
	(void)arg;
	ck_assert_int_eq(count, 1);
	ck_assert_ptr_eq(lent->iov_base, memory[0]);
	exchanges++;
	return 0;
}

static bool pinned(struct zcreq_conn *of, const struct iovec *lent, int count, void *arg)
{
	ck_assert_ptr_eq(of, conn);
	ck_assert_ptr_eq(arg, &script);
	ck_assert_int_eq(count, 1);
	ck_assert_ptr_eq(lent->iov_base, memory[0]);
	return is_pinned;
}

static const struct zcreq_memory_ops ops = {.exchange = note};
static struct zcreq_sender_ops sender;

static void setup(void)
{
	scene_setup();
	options.memory_ops = &ops;
	options.flags = ZCREQ_STREAM_DETACH;
	sender = script_ops;
}

static void abort_now(void)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
}

START_TEST(not_while_a_submission_is_under_way)
{
	struct heard *lent;

	options.detach_ms = _i ? 1000 : 0;
	open_stream();
	lent = sent(0, 20);
	abort_now();
	ck_assert_int_eq(zcreq_detach(context, lent->id, 0), -EBUSY);
	ck_assert_int_eq(zcreq_conn_detach(conn, 0), -EBUSY);
	zcreq_turn(context, 1500000000);
	zcreq_turn(context, 2000000000);
	ck_assert_uint_eq(exchanges, 0);
	/* its result is here: the addresses were looked up, and the pages are in use */
	script_result(&script, 20, true);
	if (_i)
		zcreq_turn(context, 2500000000);
	else
		ck_assert_int_eq(zcreq_detach(context, lent->id, 0), 0);
	ck_assert_uint_eq(exchanges, 1);
	ck_assert_uint_eq(released(lent), 1);
	ck_assert_uint_eq(stats().detached_bytes_now, 20);
	script_proof(&script, script.id);
	ck_assert_uint_eq(stats().detached_bytes_now, 0);
}
END_TEST

START_TEST(not_what_the_sender_has_pinned)
{
	struct heard *lent;

	sender.pinned = pinned;
	options.sender = &sender;
	open_stream();
	lent = sent(0, 20);
	script_result(&script, 20, true);
	abort_now();
	is_pinned = true;
	ck_assert_int_eq(zcreq_detach(context, lent->id, 0), -EOPNOTSUPP);
	ck_assert_uint_eq(exchanges, 0);
	is_pinned = false;
	ck_assert_int_eq(zcreq_detach(context, lent->id, 0), 0);
	ck_assert_uint_eq(exchanges, 1);
	ck_assert_uint_eq(released(lent), 1);
	script_proof(&script, script.id);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach, with a sender");
	TCase *test = tcase_create("detach");

	tcase_add_checked_fixture(test, setup, scene_teardown);
	tcase_add_loop_test(test, not_while_a_submission_is_under_way, 0, 2);
	tcase_add_test(test, not_what_the_sender_has_pinned);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
