/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_found.c - who has a handle finds the connection: from outside, and in each callback
 */
#include "support/suite.h"

#include <errno.h>

#include "support/scene.h"

static unsigned looks;
static struct zcreq_conn *found[HEARD_CALLBACKS];

/* In each callback of the request, and not of the one that was told before. */
static void look(struct heard *of, enum heard_callback callback)
{
	looks++;
	found[callback] = zcreq_request_conn(context, of->id);
	if (callback == HEARD_ABORTING)
		ck_assert_int_eq(zcreq_finish(context, of->id, 0), 0);
}

START_TEST(a_request_knows_its_connection_while_it_lives)
{
	heard_begin(conn, &heard);
	ck_assert_ptr_eq(zcreq_request_conn(context, heard.id), conn);
	ck_assert_ptr_null(zcreq_request_conn(NULL, heard.id));
	scene_finish(0);
	ck_assert_ptr_eq(zcreq_request_conn(context, heard.id), conn);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_ptr_null(zcreq_request_conn(context, heard.id));
	ck_assert_ptr_null(zcreq_request_conn(context, (zcreq_id){0}));
	ck_assert_uint_eq(stats_of(context).stale_handles, 0);
}
END_TEST

START_TEST(every_callback_finds_it)
{
	heard.inside = look;
	heard_begin(conn, &heard);
	if (_i)
		ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	else
		scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(looks, _i ? 3 : 2);
	ck_assert_ptr_eq(found[HEARD_SETTLED], conn);
	ck_assert_ptr_eq(found[HEARD_ABORTING], _i ? conn : NULL);
	ck_assert_ptr_eq(found[HEARD_RELEASED], conn);
}
END_TEST

START_TEST(nobody_finds_one_that_was_freed)
{
	heard.inside = look;
	heard_begin(conn, &heard);
	zcreq_conn_free(conn);
	conn = NULL;
	ck_assert_ptr_null(zcreq_request_conn(context, heard.id));
	zcreq_turn(context, 0);
	ck_assert_uint_eq(looks, 3);
	for (unsigned i = 0; i < HEARD_CALLBACKS; i++)
		ck_assert_ptr_null(found[i]);
}
END_TEST

static struct heard second;

/* What was told before is over, and so is what another has taken the place of. */
static void look_at_both(struct heard *of, enum heard_callback callback)
{
	if (callback != HEARD_RELEASED)
		return;
	looks++;
	ck_assert_ptr_null(zcreq_request_conn(context, of == &heard ? second.id : heard.id));
	ck_assert_ptr_eq(zcreq_request_conn(context, of->id), conn);
	second.inside = NULL;
	heard_begin(conn, &second);
	ck_assert_ptr_null(zcreq_request_conn(context, of->id));
	ck_assert_ptr_eq(zcreq_request_conn(context, second.id), conn);
}

START_TEST(in_released_it_is_found_until_the_place_is_taken)
{
	heard.inside = look_at_both;
	heard_begin(conn, &heard);
	scene_finish(0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(looks, 1);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_ptr_null(zcreq_request_conn(context, second.id));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("found");
	TCase *tcase = tcase_create("found");

	tcase_add_checked_fixture(tcase, scene_setup_bare, scene_teardown);
	tcase_add_test(tcase, a_request_knows_its_connection_while_it_lives);
	tcase_add_loop_test(tcase, every_callback_finds_it, 0, 2);
	tcase_add_test(tcase, nobody_finds_one_that_was_freed);
	tcase_add_test(tcase, in_released_it_is_found_until_the_place_is_taken);
	suite_add_tcase(s, tcase);
	return suite_run(s);
}
