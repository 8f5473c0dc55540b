/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_claims.c - what a stream claims of its structs holds, and a breach is noticed
 */
#include "support/suite.h"

#include <poll.h>

#include <zcreq/zcreq.h>

#include "core/check.h"
#include "stream/check.h"
#include "support/broken.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"
#include "stream/watcher.h"

static struct counting memory;
static struct stub stub;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct zcreq_stream *stream;
static struct heard heard;
static char data[4096];

/* One send in two batches, of which the first is proven, and a write that waits. */
static void setup(void)
{
	context = counting_context(&memory, 0);
	stub_init(&stub);
	conn = stub_open(&stub, context, NULL, NULL);
	stream = zcreq_stream_of(conn);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &heard, 0, &heard.id), 0);
	stub.most_bytes = sizeof(data) / 2;
	stub_send(conn, heard.id, data, sizeof(data));
	stub_notify(&stub, 1, 1, false);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	stub.room_bytes = 0;
	ck_assert_int_eq(zcreq_write(conn, data, 100), 0);
	zcreq_turn(context, 0);
	watcher_open(context);
	zcreq_conn_watch(conn, true);
	zcreq_context_check(context);
	zcreq_turn(context, 0);
	ck_assert_int_eq(conn->told_events, POLLERR | POLLOUT);
	zcreq_streams_check(context);
}

static void teardown(void)
{
	zcreq_conn_free(conn);
	zcreq_streams_check(context);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	zcreq_streams_check(context);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}

START_TEST(all_of_it_holds_through_a_life)
{
	stub_prove_all(&stub);
	stub.room_bytes = UINT64_MAX;
	ck_assert_int_eq(zcreq_process(conn, POLLERR | POLLOUT), 0);
	zcreq_turn(context, 0);
	zcreq_streams_check(context);
}
END_TEST

START_TEST(a_connection_without_a_socket_is_left_out)
{
	struct zcreq_conn *bare;

	ck_assert_int_eq(zcreq_conn_open(context, NULL, &bare), 0);
	zcreq_streams_check(context);
	zcreq_conn_free(bare);
}
END_TEST

START_TEST(a_closed_stream_holds_nothing)
{
	struct zcreq_conn *other = stub_open(&stub, context, NULL, NULL);

	ck_assert_int_eq(zcreq_conn_abort(other, -1), 0);
	zcreq_streams_check(context);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_state(other), ZCREQ_CONN_CLOSED);
	stub.closes = 0; /* the other one's descriptor has the same number */
	zcreq_streams_check(context);
	zcreq_conn_free(other);
}
END_TEST

/* ---- one thing wrong at a time ------------------------------------------------ */

static struct zcreq_send *send_at(uint32_t offset)
{
	return zcreq_sendq_at(&stream->queue, stream->queue.head + offset);
}

static struct zcreq_batch *oldest(void)
{
	return &stream->ids.batches[stream->ids.oldest & stream->ids.mask];
}

static void ids_wait_for_one_more(void) { stream->ids.pending++; }
static void ids_begin_too_early(void) { stream->ids.oldest--; }
static void ids_in_no_fifo(void) { stream->ids.mask = 2; }
static void ids_prove_twice(void) { oldest()->pending = 2; }
static void ids_name_a_send_that_is_not_there(void) { oldest()->last_send += 7; }

static void policy_in_no_state(void) { stream->policy.state = 0; }
static void policy_copied_more_than_all(void) { stream->policy.sample_copied = 1; }
static void policy_never_decides(void)
{
	stream->policy.state = ZCREQ_POLICY_USING;
	stream->policy.sample_ids = ZCREQ_POLICY_SAMPLE;
}
static void policy_pauses_for_nothing(void) { stream->policy.pause_batches = 0; }
static void policy_wants_whatever_is_small(void)
{
	stream->policy.state = ZCREQ_POLICY_STARTING;
	stream->policy.threshold_bytes = 0;
}
static void policy_rests_for_ever(void)
{
	stream->policy.state = ZCREQ_POLICY_PAUSED;
	stream->policy.rest_batches = UINT32_MAX;
}

static void writebuf_is_overrun(void) { stream->queue.writes.filling->used = UINT32_MAX; }
static void writebuf_forgets_a_write(void) { stream->queue.writes.filling->writes = 0; }
static void writebuf_counts_a_write_too_many(void) { stream->queue.writes.filling->writes = 2; }
static void writebuf_spares_what_it_fills(void)
{
	stream->queue.writes.spare = stream->queue.writes.filling;
}

static void sendq_has_bytes_of_nobody(void) { stream->queue.held_bytes++; }
static void sendq_sends_bytes_of_nobody(void) { stream->queue.unsent_bytes++; }
static void sendq_has_a_hole(void) { stream->queue.head--; }
static void sendq_skips_one(void) { stream->queue.next++; }
static void sendq_goes_back(void) { stream->queue.next--; }
static void sendq_loses_an_iovec(void) { stream->queue.iov_next++; }
static void send_of_nobody(void) { send_at(0)->owner = 0; }
static void send_that_nothing_holds(void) { send_at(0)->batches = 0; }
static void send_of_one_batch_too_many(void) { send_at(0)->batches++; }
static void send_with_more_than_all(void) { send_at(1)->left_bytes += 1000; }

static void request_counts_one_more(void)
{
	zcreq_request_find(context, heard.id)->sends++;
}

static void sending_without_a_sender(void)
{
	stream->sending.turn = ZCREQ_SENDER_TURN_SENDERS;
	stream->sending.lent_bytes = 1;
}
static void sending_lends_to_nobody(void) { stream->sending.lent_bytes = 1; }
static void sending_on_no_turn(void) { stream->sending.turn = 0; }

static void stream_aborted_and_open(void) { stream->ladder = ZCREQ_LADDER_WAITING; }
static void stream_on_no_ladder(void) { stream->ladder = 0; }
static void stream_without_a_descriptor(void) { stream->fd = -1; }
static void stream_retries_never(void) { stream->retry = ZCREQ_RETRY_LATER; }
static void stream_in_no_retry(void) { stream->retry = 0; }
static void stream_looks_without_a_watchdog(void) { stream->look = ZCREQ_LOOK_AWAKE; }
static void stream_is_not_looked_at(void) { stream->stall_ms = 1000; }
static void stream_told_something_else(void) { conn->told_events = 0; }
static void stream_not_aborted_and_aborting(void)
{
	conn->state = ZCREQ_CONN_ABORTING;
	conn->timer_list = &context->stirred;
}

static void (*const breaches[])(void) = {
	ids_wait_for_one_more, ids_begin_too_early, ids_in_no_fifo, ids_prove_twice,
	ids_name_a_send_that_is_not_there,
	policy_in_no_state, policy_copied_more_than_all, policy_never_decides,
	policy_pauses_for_nothing, policy_wants_whatever_is_small, policy_rests_for_ever,
	writebuf_is_overrun, writebuf_forgets_a_write, writebuf_counts_a_write_too_many,
	writebuf_spares_what_it_fills,
	sendq_has_bytes_of_nobody, sendq_sends_bytes_of_nobody, sendq_has_a_hole,
	sendq_skips_one, sendq_goes_back, sendq_loses_an_iovec, send_of_nobody,
	send_that_nothing_holds, send_of_one_batch_too_many, send_with_more_than_all,
	request_counts_one_more,
	sending_without_a_sender, sending_lends_to_nobody, sending_on_no_turn,
	stream_aborted_and_open, stream_on_no_ladder, stream_without_a_descriptor,
	stream_retries_never, stream_in_no_retry, stream_looks_without_a_watchdog,
	stream_is_not_looked_at, stream_told_something_else, stream_not_aborted_and_aborting,
};

START_TEST(a_breach_is_noticed)
{
	breaches[_i]();
	broken_expected();
	zcreq_streams_check(context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("claims");
	TCase *holds = tcase_create("hold"), *broken = tcase_create("broken");

	tcase_add_checked_fixture(holds, setup, teardown);
	tcase_add_test(holds, all_of_it_holds_through_a_life);
	tcase_add_test(holds, a_connection_without_a_socket_is_left_out);
	tcase_add_test(holds, a_closed_stream_holds_nothing);
	suite_add_tcase(s, holds);
	tcase_add_checked_fixture(broken, setup, NULL);
	tcase_add_loop_exit_test(broken, a_breach_is_noticed, BROKEN_NOTICED, 0, COUNT(breaches));
	suite_add_tcase(s, broken);
	return suite_run(s);
}
