/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_own.c - a program that makes its own sends: offers, reports, and what waits then
 *
 * The program is this test: it offers, calls the stub's sendmsg, and reports. What a
 * report leaves is compared with what an independent count says. How such a connection
 * ends is in check_own_ends.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "stream/check.h"
#include "stream/stream.h"
#include "support/own.h"
#include "support/scene.h"

static struct heard second;

static void setup(void)
{
	scene_setup();
	options.flags = ZCREQ_STREAM_OWN_SENDS;
}

static void setup_open(void)
{
	setup();
	scene_open();
	heard_begin(conn, &heard);
}

/* ---- what a report leaves --------------------------------------------------- */

START_TEST(bytes_by_reference_are_released_by_their_notification)
{
	const struct zcreq_part part = {heard.id, 60};

	ck_assert_int_eq(own_send(&part, 1, true), 60);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_uint_eq(stats_of(context).kernel_bytes_now, 60);
	ck_assert_uint_eq(stats_of(context).unsent_bytes_now, 0);
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(stats_of(context).zerocopy_batches, 1);
	ck_assert_uint_eq(stats_of(context).proved_notified, 1);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 60);
	ck_assert_uint_eq(stats_of(context).send_calls, 1);
}
END_TEST

/* It is as old as the turn after it. What was offered before a turn and not taken after it
 * leaves nothing to be stamped. */
START_TEST(what_is_offered_is_as_old_as_the_turn_after_it)
{
	const struct zcreq_part part = {heard.id, 60};
	struct zcreq_sendq *q = &zcreq_stream_of(conn)->queue;

	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(zcreq_sendq_at(q, q->tail - 1)->since, zcreq_time(2 * SECOND));
	ck_assert_int_eq(zcreq_sent(conn, -EAGAIN, true), 0);
	zcreq_turn(context, 3 * SECOND);
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	zcreq_turn(context, 4 * SECOND);
	ck_assert_int_eq(own_send(&part, 1, true), 60);
	zcreq_turn(context, 5 * SECOND);
	ck_assert_uint_eq(zcreq_sendq_at(q, q->tail - 1)->since, zcreq_time(5 * SECOND));
	scene_finish(0);
	scene_prove();
}
END_TEST

START_TEST(copied_bytes_are_released_by_their_report)
{
	const struct zcreq_part part = {heard.id, 60};

	ck_assert_int_eq(own_send(&part, 1, false), 60);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_int_eq(heard.status, 0);
	ck_assert_uint_eq(stats_of(context).copied_batches, 1);
	ck_assert_uint_eq(stats_of(context).proved_copied, 1);
	ck_assert_uint_eq(stats_of(context).sent_bytes, 60);
}
END_TEST

START_TEST(one_call_may_have_bytes_of_several_requests_and_of_nobody)
{
	struct zcreq_part parts[4] = {
		{heard.id, 10}, {{0}, 7}, {{0}, 20}, {heard.id, 3},
	};

	parts[2].id = heard_begin(conn, &second);
	ck_assert_int_eq(own_send(parts, 4, true), 40);
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released + second.released, 0);
	scene_prove();
	ck_assert_uint_eq(heard.released + second.released, 2);
	ck_assert_uint_eq(stats_of(context).proved_notified, 3); /* sends of requests */
}
END_TEST

/*
 * Calls of three parts of two requests, which take any number of their bytes, by reference
 * or not, and are made again with what is left: each request is released with the last
 * notification of a call that had bytes of it, and not before.
 */
#define PART 5
#define TOTAL (3 * PART)

START_TEST(i2_a_call_cut_anywhere_holds_what_it_took)
{
	const uint64_t cut = (uint64_t)_i / 4;
	const bool first = _i & 1, then = _i & 2;
	struct zcreq_part parts[3] = {{heard.id, PART}, {{0}, PART}, {heard.id, PART}}, left[3];
	bool waits[2];
	int n = 0;

	parts[1].id = heard_begin(conn, &second);
	stub.most_bytes = cut;
	ck_assert_int_eq(cut ? own_send(parts, 3, first) : own_refused(parts, 3, first, -EAGAIN),
			 cut ? (int64_t)cut : -EAGAIN);
	stub.most_bytes = 0;
	for (uint64_t i = 0; i < 3; i++) {
		const uint64_t end = (i + 1) * PART;

		if (cut < end)
			left[n++] = (struct zcreq_part){
				parts[i].id, cut > i * PART ? end - cut : PART};
	}
	ck_assert_uint_eq(stats_of(context).kernel_bytes_now, first ? cut : 0);
	ck_assert_uint_eq(stats_of(context).unsent_bytes_now, 0);
	if (n)
		ck_assert_int_eq(own_send(left, n, then), (int64_t)(TOTAL - cut));
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	/* the first call has bytes of the request at 0 and PART, the second at the end of each */
	waits[0] = (first && cut > 0) || (then && cut < TOTAL);
	waits[1] = (first && cut > PART) || (then && cut < 2 * PART);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, !waits[0]);
	ck_assert_uint_eq(second.released, !waits[1]);
	scene_prove();
	ck_assert_uint_eq(heard.released + second.released, 2);
	ck_assert_uint_eq(stats_of(context).sent_bytes, TOTAL);
	ck_assert_uint_eq(stats_of(context).proved_unsent, 0);
}
END_TEST

START_TEST(ids_are_those_of_calls_by_reference_that_took_something)
{
	const struct zcreq_part part = {heard.id, 10};
	struct zcreq_part other = {{0}, 10};

	other.id = heard_begin(conn, &second);
	own_refused(&part, 1, true, -EAGAIN);
	own_send(&part, 1, false);
	own_send(&part, 1, true); /* id 0 */
	own_refused(&other, 1, true, -EAGAIN);
	own_send(&other, 1, true); /* id 1 */
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	stub_notify(&stub, 1, 1, false);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 0);
	ck_assert_uint_eq(second.released, 1);
	stub_notify(&stub, 0, 0, true);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stats_of(context).notified_copied, 1);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, 0);
	stub.unproven = stub.next_id;
}
END_TEST

START_TEST(ids_go_round_and_begin_where_they_are_told)
{
	setup();
	options.flags |= ZCREQ_STREAM_FIRST_ID;
	options.first_id = UINT32_MAX - 1;
	scene_open();
	heard_begin(conn, &heard);
	stub.next_id = stub.unproven = options.first_id;
	for (int i = 0; i < 4; i++)
		own_send(&(struct zcreq_part){heard.id, 10}, 1, true);
	scene_finish(0);
	stub_notify(&stub, UINT32_MAX - 3, 0, false); /* the first two are somebody else's */
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).batches_now, 1);
	ck_assert_uint_eq(heard.released, 0);
	stub.unproven = 1;
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* The error queue may be read between the two calls, if somebody turns there. */
START_TEST(a_notification_before_the_report_counts_with_the_report)
{
	const struct zcreq_part part = {heard.id, 10};
	const bool copied = _i & 1, range = _i & 2;

	if (range)
		own_send(&part, 1, true);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
	own_call(10, true);
	stub_notify(&stub, 0, range, copied);
	stub.unproven = stub.next_id;
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).batches_now, 1);
	ck_assert_uint_eq(stats_of(context).notifications, range);
	ck_assert_int_eq(zcreq_sent(conn, 10, true), 0);
	ck_assert_uint_eq(stats_of(context).batches_now, 0);
	ck_assert_uint_eq(stats_of(context).notified_copied, copied ? 1 + range : 0);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(stats_of(context).proved_notified, 1 + range);
}
END_TEST

START_TEST(a_notification_of_a_call_before_does_not_wait_for_the_report)
{
	const struct zcreq_part part = {heard.id, 10};

	own_send(&part, 1, true);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
	scene_prove();
	ck_assert_uint_eq(stats_of(context).notifications, 1);
	own_call(10, false);
	ck_assert_int_eq(zcreq_sent(conn, 10, false), 0);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* ---- what is refused, before the kernel has anything ------------------------- */

START_TEST(an_offer_that_cannot_be_is_refused_and_changes_nothing)
{
	struct zcreq_part two[2] = {{heard.id, 10}, {{0}, 10}};
	struct zcreq_part huge[2] = {{heard.id, SSIZE_MAX}, {heard.id, 1}};
	struct zcreq_conn *bare = NULL;
	struct heard of_bare = {0};

	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	ck_assert_int_eq(zcreq_offer(NULL, two, 1, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_offer(conn, NULL, 1, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_offer(conn, two, 0, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_offer(conn, two, -1, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_offer(conn, two, ZCREQ_IOV_MAX + 1, NULL), -EMSGSIZE);
	ck_assert_int_eq(zcreq_offer(conn, huge, 2, NULL), -EOVERFLOW);
	ck_assert_int_eq(zcreq_offer(bare, two, 1, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_sent(bare, 1, false), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_sent(NULL, 1, false), -EINVAL);
	two[1].bytes = 0;
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -EINVAL);
	two[1].bytes = 10;
	two[1].id = heard_begin(bare, &of_bare);
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -EINVAL);
	two[1].id.bits = 12345;
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -ESTALE);
	ck_assert_int_eq(zcreq_offer(conn, two + 1, 1, NULL), -ESTALE);
	two[0].id.bits = 12345; /* the first is enough, and nobody looks at the rest */
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -ESTALE);
	two[0].id = heard.id;
	two[1].id = heard_begin(conn, &second);
	ck_assert_int_eq(zcreq_abort(context, second.id, -EIO), 0);
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -ECANCELED);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	ck_assert_int_eq(zcreq_offer(conn, two, 2, NULL), -ESTALE);
	ck_assert_uint_eq(stats_of(context).stale_handles, 4);
	ck_assert_uint_eq(stats_of(context).kernel_bytes_now, 0);
	ck_assert_uint_eq(stats_of(context).unsent_bytes_now, 0);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), 0); /* nothing of it is away */
	ck_assert_int_eq(zcreq_finish(context, of_bare.id, 0), 0);
	scene_finish(0);
	zcreq_conn_free(bare);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(one_offer_at_a_time)
{
	const struct zcreq_part part = {heard.id, 10};

	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), -EBUSY);
	ck_assert_int_eq(zcreq_abort(context, heard.id, -EIO), -EBUSY);
	ck_assert_int_eq(zcreq_sent(conn, -EINTR, false), 0);
	ck_assert_int_eq(zcreq_sent(conn, -EAGAIN, false), -ESTALE);
	ck_assert_int_eq(zcreq_sent(conn, 0, true), -ESTALE);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
	ck_assert_int_eq(zcreq_sent(conn, 0, false), 0);
	scene_finish(0);
}
END_TEST

START_TEST(what_the_library_would_send_itself_is_refused)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_send(conn, &heard_ops, &second, &iov, 1, 0, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_write(conn, data, 1), -EOPNOTSUPP);
	ck_assert_int_eq(zcreq_stream_fd(conn), STUB_FD);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_sends + stub.copied_sends, 0);
}
END_TEST

static int never(struct zcreq_conn *of, const struct zcreq_submission *submission, void *arg)
{
	(void)of;
	(void)submission;
	(void)arg;
	ck_abort_msg("submitted");
}

START_TEST(a_program_and_a_sender_do_not_go_together)
{
	const struct zcreq_sender_ops sender = {.submit = never};
	struct zcreq_conn *another;

	options.sender = &sender;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &another), -EINVAL);
	scene_finish(0);
}
END_TEST

/* I7: all memory is found by the offer, and the steady state needs none. */
START_TEST(i7_a_report_needs_no_memory)
{
	struct zcreq_part parts[32];
	unsigned calls;

	for (int i = 0; i < 32; i++)
		parts[i] = (struct zcreq_part){heard.id, 1};
	for (unsigned n = 1; n <= 2; n++) {
		memory.fail_at = memory.calls + 1;
		ck_assert_int_eq(zcreq_offer(conn, parts, 32, NULL), -ENOMEM);
		ck_assert_int_eq(zcreq_sent(conn, -ENOMEM, false), -ESTALE);
		ck_assert_int_eq(zcreq_offer(conn, parts, n == 1 ? 1 : 32, NULL), 0);
		calls = memory.calls;
		own_call(n == 1 ? 1 : 32, true);
		ck_assert_int_eq(zcreq_sent(conn, n == 1 ? 1 : 32, true), 0);
		ck_assert_uint_eq(memory.calls, calls);
	}
	scene_prove();
	calls = memory.calls;
	for (int i = 0; i < 1000; i++) {
		own_send(parts, 32, true);
		scene_prove();
	}
	ck_assert_uint_eq(memory.calls, calls);
	scene_finish(0);
}
END_TEST

/* ---- room, and memory of the machine ------------------------------------------ */

START_TEST(a_full_socket_is_told_of_once_there_is_room)
{
	const struct zcreq_part part = {heard.id, 10};

	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 0);
	own_refused(&part, 1, true, -EAGAIN);
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	zcreq_process(conn, POLLOUT);
	ck_assert_uint_eq(hooks.room, 0); /* I6 */
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	own_refused(&part, 1, false, -EAGAIN);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0); /* who polls need not wait */
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	zcreq_process(conn, POLLOUT); /* an edge, before the answer that waits for one */
	ck_assert_int_eq(zcreq_sent(conn, -EAGAIN, true), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 2);
	scene_finish(0);
}
END_TEST

START_TEST(the_limit_counts_what_is_in_flight)
{
	struct zcreq_part part = {{0}, 60};

	setup();
	options.limit_bytes = 100;
	scene_open();
	part.id = heard_begin(conn, &heard);
	own_send(&part, 1, true);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), -EAGAIN);
	scene_prove();
	ck_assert_uint_eq(hooks.room, 1);
	own_send(&part, 1, false);
	scene_finish(0);
}
END_TEST

START_TEST(no_memory_for_a_call_by_reference_asks_for_a_copy)
{
	const struct zcreq_part part = {heard.id, 10};
	bool by_reference;

	own_send(&part, 1, true);
	own_refused(&part, 1, true, -ENOBUFS);
	ck_assert_uint_eq(stats_of(context).no_buffers_option, 1);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, &by_reference), 0);
	ck_assert(!by_reference);
	own_call(10, false);
	ck_assert_int_eq(zcreq_sent(conn, 10, false), 0);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, &by_reference), 0);
	ck_assert(by_reference);
	ck_assert_int_eq(zcreq_sent(conn, -EAGAIN, true), 0);
	ck_assert_uint_eq(hooks.abort, 0);
	scene_finish(0);
}
END_TEST

START_TEST(no_memory_for_a_copy_is_tried_again_in_a_while)
{
	const struct zcreq_part part = {heard.id, 10};

	zcreq_turn(context, 1 * SECOND);
	own_refused(&part, 1, false, _i ? -ENOBUFS : -ENOMEM);
	ck_assert_int_eq(zcreq_events(conn), POLLERR);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), -EAGAIN);
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 1 * SECOND);
	ck_assert_uint_eq(hooks.room, 0);
	zcreq_turn(context, 1 * SECOND + 10 * MS);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_uint_eq(stats_of(context).no_buffers_machine, 1);
	own_send(&part, 1, false);
	scene_finish(0);
}
END_TEST

START_TEST(a_transport_without_zerocopy_is_copied_to)
{
	const struct zcreq_part part = {heard.id, 10};
	bool by_reference;

	own_refused(&part, 1, true, -EOPNOTSUPP);
	ck_assert_uint_eq(stats_of(context).zerocopy_unsupported, 1);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, &by_reference), 0);
	ck_assert(!by_reference);
	ck_assert_int_eq(zcreq_sent(conn, 0, false), 0);
	scene_finish(0);
}
END_TEST

START_TEST(the_policy_says_what_is_worth_it)
{
	struct zcreq_part part = {{0}, 999};
	bool by_reference = true;

	setup();
	options.mode = ZCREQ_MODE_AUTO;
	options.threshold_bytes = 1000;
	scene_open();
	part.id = heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, &by_reference), 0);
	ck_assert(!by_reference);
	ck_assert_int_eq(zcreq_sent(conn, 0, false), 0);
	part.bytes++;
	ck_assert_int_eq(zcreq_offer(conn, &part, 1, &by_reference), 0);
	ck_assert(by_reference);
	ck_assert_int_eq(zcreq_sent(conn, 0, false), 0);
	scene_finish(0);
}
END_TEST

/* ---- what can be told of it --------------------------------------------------- */

static void explain(zcreq_id id, char *text, size_t size)
{
	ck_assert_int_gt(zcreq_request_explain(context, id, ZCREQ_TEXT, text, size), 0);
}

START_TEST(who_looks_is_told_whom_it_waits_for)
{
	struct zcreq_part parts[2] = {{heard.id, 10}, {{0}, 3}};
	char text[2000];

	own_send(&(struct zcreq_part){heard_begin(conn, &second), 10}, 1, true);
	ck_assert_int_eq(zcreq_offer(conn, parts, 2, NULL), 0);
	explain(heard.id, text, sizeof(text));
	ck_assert_ptr_ne(strstr(text, "zcreq_sent"), NULL);
	explain(second.id, text, sizeof(text));
	ck_assert_ptr_eq(strstr(text, "zcreq_sent"), NULL);
	own_call(13, true);
	ck_assert_int_eq(zcreq_sent(conn, 13, true), 0);
	explain(heard.id, text, sizeof(text));
	ck_assert_ptr_eq(strstr(text, "zcreq_sent"), NULL);
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
}
END_TEST

/* A reserve is for sends and ids; what is under way has no iovecs all the same, as
 * zcreq_sendq_check() claims. */
START_TEST(what_is_reserved_is_right_at_every_step)
{
	const struct zcreq_part part = {{0}, 60};

	setup();
	options.reserve_sends = options.reserve_iovs = options.reserve_batches = 16;
	scene_open();
	zcreq_streams_check(context);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(zcreq_offer(conn, &part, 1, NULL), 0);
		zcreq_streams_check(context);
		ck_assert_int_eq(own_call(60, true), 60);
		ck_assert_int_eq(zcreq_sent(conn, 60, true), 0);
		zcreq_streams_check(context);
	}
	scene_prove();
	zcreq_streams_check(context);
}
END_TEST

static Suite *own_suite(void)
{
	Suite *suite = suite_create("own");
	TCase *tc = tcase_create("own");

	tcase_add_checked_fixture(tc, setup_open, scene_teardown_late);
	tcase_add_test(tc, bytes_by_reference_are_released_by_their_notification);
	tcase_add_test(tc, what_is_offered_is_as_old_as_the_turn_after_it);
	tcase_add_test(tc, copied_bytes_are_released_by_their_report);
	tcase_add_test(tc, one_call_may_have_bytes_of_several_requests_and_of_nobody);
	tcase_add_loop_test(tc, i2_a_call_cut_anywhere_holds_what_it_took, 0, 4 * (TOTAL + 1));
	tcase_add_test(tc, ids_are_those_of_calls_by_reference_that_took_something);
	tcase_add_loop_test(tc, a_notification_before_the_report_counts_with_the_report, 0, 4);
	tcase_add_test(tc, a_notification_of_a_call_before_does_not_wait_for_the_report);
	tcase_add_test(tc, an_offer_that_cannot_be_is_refused_and_changes_nothing);
	tcase_add_test(tc, one_offer_at_a_time);
	tcase_add_test(tc, what_the_library_would_send_itself_is_refused);
	tcase_add_test(tc, a_program_and_a_sender_do_not_go_together);
	tcase_add_test(tc, i7_a_report_needs_no_memory);
	tcase_add_test(tc, a_full_socket_is_told_of_once_there_is_room);
	tcase_add_test(tc, no_memory_for_a_call_by_reference_asks_for_a_copy);
	tcase_add_loop_test(tc, no_memory_for_a_copy_is_tried_again_in_a_while, 0, 2);
	tcase_add_test(tc, a_transport_without_zerocopy_is_copied_to);
	tcase_add_test(tc, who_looks_is_told_whom_it_waits_for);
	suite_add_tcase(suite, tc);
	tc = tcase_create("options");
	tcase_add_checked_fixture(tc, NULL, scene_teardown_late);
	tcase_add_test(tc, ids_go_round_and_begin_where_they_are_told);
	tcase_add_test(tc, the_limit_counts_what_is_in_flight);
	tcase_add_test(tc, the_policy_says_what_is_worth_it);
	tcase_add_test(tc, what_is_reserved_is_right_at_every_step);
	suite_add_tcase(suite, tc);
	return suite;
}

int main(void)
{
	return suite_run(own_suite());
}
