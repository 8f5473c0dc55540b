/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_untie.c - what is untied, freed or closed while the loop is at work on it
 */
#include <errno.h>
#include <unistd.h>

#include "ev/ev_scene.h"
#include "support/emulated.h"
#include "support/suite.h"

static void free_own_connection(struct end *end)
{
	free_end(end);
}

START_TEST(connection_freed_in_its_own_callback)
{
	ev_io reader;

	open_end(&ends[0]);
	ends[0].on_released = free_own_connection;
	ev_io_init(&reader, drink, ends[0].peer, EV_READ);
	ev_io_start(loop, &reader);
	send_from(&ends[0], 1 << 20);
	ck_assert(run_for(5000));
	ck_assert_uint_eq(ends[0].released, 1);
	close(ends[0].peer);
}
END_TEST

/* Both have an event in the same batch, and whichever comes first ends the other. */
static void free_the_other(struct end *end)
{
	struct end *other = &ends[end == &ends[0]];

	if (other->conn)
		free_end(other);
}

START_TEST(connection_freed_while_its_event_waits)
{
	open_end(&ends[0]);
	open_end(&ends[1]);
	ends[0].on_released = ends[1].on_released = free_the_other;
	send_from(&ends[0], BIG);
	send_from(&ends[1], BIG);
	ck_assert(!run_for(50));
	reset_peer(&ends[0]);
	reset_peer(&ends[1]);
	ck_assert(run_for(2000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(ends[1].released, 1);
}
END_TEST

static void free_everything(struct end *end)
{
	(void)end;
	zcreq_ev_free(ev);
	ev = NULL;
}

START_TEST(untied_from_the_loop_in_a_callback)
{
	ev_io reader;

	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	ev_io_init(&reader, drink, ends[0].peer, EV_READ);
	ev_io_start(loop, &reader);
	send_from(&ends[0], 1 << 20);
	run_for(500);
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_conn_free(ends[0].conn);
	zcreq_turn(context, zcreq_now_ns());
	ev_io_stop(loop, &reader);
	close(ends[0].peer);
}
END_TEST

/* Their events are in one batch, and the first one's callback frees the second. */
static void settled(zcreq_id id, int status, void *arg)
{
	(void)status;
	free_the_other(arg);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
}

static const struct zcreq_request_hooks ending_ops = { .settled = settled, .released = released };

START_TEST(untied_while_its_event_waits)
{
	zcreq_id id;

	for (unsigned i = 0; i < 2; i++) {
		open_end(&ends[i]);
		ck_assert_int_eq(zcreq_begin(ends[i].conn, &ending_ops, &ends[i], 0, &id),
				 0);
	}
	ck_assert(!run_for(20));
	reset_peer(&ends[0]);
	reset_peer(&ends[1]);
	ck_assert(run_for(2000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_uint_eq(ends[1].released, 1);
}
END_TEST

/* A copy is released by the turn that makes it. */
START_TEST(untied_from_the_loop_when_a_copy_is_released)
{
	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	send_from(&ends[0], 100);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_conn_free(ends[0].conn);
	zcreq_turn(context, 0);
	close(ends[0].peer);
}
END_TEST

/* The turn before the loop sleeps is where a deadline is found. */
START_TEST(untied_from_the_loop_at_a_deadline)
{
	open_end(&ends[0]);
	ends[0].on_released = free_everything;
	send_from(&ends[0], BIG);
	ck_assert_int_eq(zcreq_conn_drain(ends[0].conn, 50), 0);
	ck_assert(run_for(1000));
	ck_assert_uint_eq(ends[0].released, 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(ends[0].closed, 1);
	close(ends[0].peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ev_untie");
	TCase *cases = tcase_create("all");

	if (emulated_states())
		return 77;
	tcase_set_timeout(cases, 20);
	tcase_add_checked_fixture(cases, scene_setup, scene_teardown);
	tcase_add_test(cases, connection_freed_in_its_own_callback);
	tcase_add_test(cases, connection_freed_while_its_event_waits);
	tcase_add_test(cases, untied_from_the_loop_in_a_callback);
	tcase_add_test(cases, untied_while_its_event_waits);
	tcase_add_test(cases, untied_from_the_loop_at_a_deadline);
	tcase_add_test(cases, untied_from_the_loop_when_a_copy_is_released);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
