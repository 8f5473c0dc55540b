/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_claims.c - what the core claims of its own structs holds, and a breach is noticed
 */
#include "support/suite.h"

#include <errno.h>

#include <zcreq/zcreq.h>

#include "core/check.h"
#include "support/broken.h"
#include "support/counting.h"
#include "support/recorder.h"

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct heard heard;
static struct zcreq_request *request;
static zcreq_hold hold;

static void setup(void)
{
	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
	ck_assert_int_eq(zcreq_begin(conn, &heard_ops, &heard, 0, &heard.id), 0);
	ck_assert_int_eq(zcreq_take(context, heard.id, &hold), 0);
	request = zcreq_request_find(context, heard.id);
	zcreq_context_check(context);
}

static void teardown(void)
{
	ck_assert_int_eq(zcreq_finish(context, (zcreq_id){request->slot.bits}, 0), 0);
	zcreq_context_check(context);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	zcreq_context_check(context);
	zcreq_turn(context, 0);
	zcreq_context_check(context);
	zcreq_conn_free(conn);
	zcreq_context_check(context);
	zcreq_turn(context, 0);
	zcreq_context_check(context);
	counting_end(&memory, context);
}

START_TEST(all_of_it_holds_through_a_life)
{
	ck_assert_uint_eq(zcreq_slots_check(&context->requests, sizeof(*request)), 1);
}
END_TEST

/* ---- one thing wrong at a time ------------------------------------------------ */

static void request_in_no_state(void) { request->state = 0; }
static void request_free(void) { request->state = ZCREQ_STATE_FREE; }
static void request_done_and_held(void) { request->state = ZCREQ_STATE_DONE; }
static void request_released_too_early(void) { request->due = ZCREQ_DUE_RELEASED; }
static void request_sends_nothing(void) { request->sends++; }
static void request_sends_nobodys_bytes(void) { request->send_bytes++; }
static void request_aborted_for_nothing(void) { request->state = ZCREQ_STATE_ABORTING; }
static void request_with_mail_of_nothing(void)
{
	zcreq_request_ready(context, request, ZCREQ_DUE_SETTLED);
}
static void request_with_a_wrong_handle(void) { request->slot.bits ^= 1; }
static void request_in_quarantine_alone(void) { request->state = ZCREQ_STATE_QUARANTINED; }
static void request_that_nobody_ends(void)
{
	request->holds = 0;
	conn->stats.holds_now = 0;
	request->state = ZCREQ_STATE_FINISHED;
}

static void slots_free_and_in_use(void) { context->requests.free = 0; }
static void slots_beyond_the_limit(void) { context->requests.made = context->requests.limit + 1; }
static void slots_lost(void) { context->holds.free = ZCREQ_SLOT_NONE; }
static void slots_in_a_circle(void)
{
	struct zcreq_slots *table = &context->requests;

	zcreq_slots_at(table, table->free, sizeof(*request))->next_free = table->free;
}

static void conn_in_no_state(void) { conn->state = 0; }
static void conn_counts_one_more(void) { conn->request_count++; }
static void conn_counts_one_less(void) { conn->request_count--; }
static void conn_holds_one_more(void) { conn->stats.holds_now++; }
static void conn_quarantines_nothing(void) { conn->stats.quarantined_now++; }
static void conn_aborted_and_open(void) { conn->status = -EIO; }
static void conn_draining_and_aborted(void)
{
	conn->state = ZCREQ_CONN_DRAINING;
	conn->status = -EIO;
}
static void conn_aborts_for_nothing(void) { conn->state = ZCREQ_CONN_ABORTING; }
static void conn_closed_over_a_request(void) { conn->state = ZCREQ_CONN_CLOSED; }
static void conn_of_nobody(void) { conn->owners = 0; }
static void conn_watched_by_nobody(void) { conn->watch = ZCREQ_WATCH_TOLD; }
static void conn_with_a_lost_message(void) { conn->message_count++; }
static void conn_in_a_strange_list(void) { conn->timer_list = &context->changed; }
static void conn_alarm_that_nobody_hears(void)
{
	conn->timer_list = &context->alarms;
	conn->alarm_ns = 0;
}

static void context_forgets_a_callback(void)
{
	request->status = -EIO;
	request->due = ZCREQ_DUE_SETTLED;
}
static void context_forgets_a_hook(void) { context->ready_conn_count++; }
static void context_runs_nothing(void)
{
	STAILQ_INSERT_TAIL(&context->ready, request, in_ready);
}
static void context_tells_nobody(void)
{
	context->poller = (struct zcreq_poller *)&heard;
	conn->watch = ZCREQ_WATCH_CHANGED;
}
static void context_has_a_strangers_request(void)
{
	TAILQ_REMOVE(&conn->requests, request, in_conn);
	conn->request_count--;
	conn->stats.holds_now--;
}

static void (*const breaches[])(void) = {
	request_in_no_state, request_free, request_done_and_held, request_released_too_early,
	request_sends_nothing, request_sends_nobodys_bytes, request_aborted_for_nothing,
	request_with_mail_of_nothing, request_with_a_wrong_handle, request_in_quarantine_alone, request_that_nobody_ends,
	slots_free_and_in_use, slots_beyond_the_limit, slots_lost, slots_in_a_circle,
	conn_in_no_state, conn_counts_one_more, conn_counts_one_less, conn_holds_one_more,
	conn_quarantines_nothing, conn_aborted_and_open, conn_draining_and_aborted,
	conn_aborts_for_nothing, conn_closed_over_a_request, conn_of_nobody,
	conn_watched_by_nobody, conn_with_a_lost_message, conn_in_a_strange_list,
	conn_alarm_that_nobody_hears,
	context_forgets_a_callback, context_forgets_a_hook, context_runs_nothing,
	context_tells_nobody, context_has_a_strangers_request,
};

START_TEST(a_breach_is_noticed)
{
	breaches[_i]();
	broken_expected();
	zcreq_context_check(context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("claims");
	TCase *holds = tcase_create("hold"), *broken = tcase_create("broken");

	tcase_add_checked_fixture(holds, setup, teardown);
	tcase_add_test(holds, all_of_it_holds_through_a_life);
	suite_add_tcase(s, holds);
	tcase_add_checked_fixture(broken, setup, NULL);
	tcase_add_loop_exit_test(broken, a_breach_is_noticed, BROKEN_NOTICED, 0, COUNT(breaches));
	suite_add_tcase(s, broken);
	return suite_run(s);
}
