/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ages.c - what begins between two turns is as old as the second of them
 *
 * The core knows the time of turns and no other. A program that has slept for an hour and
 * then begins a request calls it an hour later by the turn before, and at once by the next.
 * Here the time of each entry is looked at, of as many as make the tables grow.
 */
#include "support/suite.h"

#include "core/core.h"
#include "support/scene.h"

#define HOUR (3600 * SECOND)
#define MOST 400

static struct heard many[MOST];
static zcreq_hold holds[MOST];

static uint64_t oldest_age_ns(void)
{
	return stats_of(context).oldest_age_ns;
}

/* What a request, or a hold, is stamped with. */
static uint32_t request_since(const struct heard *of)
{
	return zcreq_slots_find(&context->requests, of->id.bits, sizeof(struct zcreq_request))->since;
}

static uint32_t hold_since(zcreq_hold hold)
{
	return zcreq_slots_find(&context->holds, hold.bits, sizeof(struct zcreq_hold_slot))->since;
}

static void begin(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		many[i] = (struct heard){.inside = many[i].inside};
		heard_begin(conn, &many[i]);
	}
}

static void finish(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		ck_assert_int_eq(zcreq_finish(context, many[i].id, 0), 0);
}

static void expect_since(unsigned from, unsigned to, uint64_t time_ns)
{
	for (unsigned i = from; i < to; i++)
		ck_assert_uint_eq(request_since(&many[i]), zcreq_time(time_ns));
}

/* ---- age.c: "61 min old" for a request of microseconds ------------------------------ */

START_TEST(before_the_first_turn_nothing_is_old)
{
	begin(0, 1);
	zcreq_turn(context, 7 * HOUR);
	ck_assert_uint_eq(oldest_age_ns(), 0);
	finish(0, 1);
}
END_TEST

START_TEST(what_was_slept_before_is_not_its_age)
{
	zcreq_turn(context, 1 * HOUR);
	begin(0, 1);
	ck_assert_uint_eq(oldest_age_ns(), 0);
	zcreq_turn(context, 2 * HOUR);
	ck_assert_uint_eq(oldest_age_ns(), 0);
	zcreq_turn(context, 2 * HOUR + SECOND);
	ck_assert_uint_ge(oldest_age_ns(), SECOND - 2 * MS);
	ck_assert_uint_le(oldest_age_ns(), SECOND + 2 * MS);
	finish(0, 1);
}
END_TEST

/* But what is slept afterwards is, also if there were two turns at one time before. */
START_TEST(what_is_slept_afterwards_is_its_age)
{
	zcreq_turn(context, 1 * HOUR);
	begin(0, 1);
	zcreq_turn(context, 1 * HOUR);
	zcreq_turn(context, 2 * HOUR);
	ck_assert_uint_ge(oldest_age_ns(), HOUR - 2 * MS);
	finish(0, 1);
}
END_TEST

static void begin_inside(struct heard *of, enum heard_callback callback)
{
	if (callback == HEARD_RELEASED && of == &many[0])
		begin(1, 3);
}

START_TEST(what_begins_in_a_callback_begins_in_that_turn)
{
	zcreq_turn(context, 1 * HOUR);
	begin(0, 1);
	many[0].inside = begin_inside;
	finish(0, 1);
	zcreq_turn(context, 2 * HOUR);
	expect_since(1, 3, 2 * HOUR);
	zcreq_turn(context, 3 * HOUR);
	expect_since(1, 3, 2 * HOUR);
	finish(1, 3);
}
END_TEST

/* ---- tables that grow, and entries that were used before ------------------------------ */

START_TEST(all_that_began_are_found)
{
	static const unsigned before[] = {0, 1, 63, 64, 65, 128}, fresh[] = {1, 63, 64, 65, 192, 200};
	unsigned old = before[_i % COUNT(before)], used = _i / 6 % 2 ? 64 + old : old;
	unsigned end = old + fresh[_i / 12];

	zcreq_turn(context, 1 * HOUR);
	begin(0, used); /* some are given back, in an order of their own */
	zcreq_turn(context, 1 * HOUR);
	for (unsigned i = old; i < used; i += 2)
		finish(i, i + 1);
	zcreq_turn(context, 1 * HOUR);
	for (unsigned i = old + 1; i < used; i += 2)
		finish(i, i + 1);
	zcreq_turn(context, 1 * HOUR);
	begin(old, end);
	zcreq_turn(context, 2 * HOUR);
	expect_since(0, old, 1 * HOUR);
	expect_since(old, end, 2 * HOUR);
	finish(0, end);
	zcreq_turn(context, 3 * HOUR);
}
END_TEST

/* ---- holds, which come and go between two turns ---------------------------------------- */

static void take(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		holds[i] = heard_take(context, &many[0]);
}

static void drop(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		ck_assert_int_eq(zcreq_drop(context, holds[i], 0), 0);
}

START_TEST(holds_are_as_old_as_the_turn_after_them)
{
	static const unsigned olds[] = {0, 1, 63, 64, 65}, fresh[] = {1, 63, 64, 65, 130};
	unsigned old = olds[_i % 5], end = old + fresh[_i / 5];

	begin(0, 1);
	zcreq_turn(context, 1 * HOUR);
	take(0, old);
	zcreq_turn(context, 2 * HOUR);
	take(old, end);
	zcreq_turn(context, 3 * HOUR);
	for (unsigned i = 0; i < old; i++)
		ck_assert_uint_eq(hold_since(holds[i]), zcreq_time(2 * HOUR));
	for (unsigned i = old; i < end; i++)
		ck_assert_uint_eq(hold_since(holds[i]), zcreq_time(3 * HOUR));
	drop(0, end);
	finish(0, 1);
}
END_TEST

START_TEST(a_hold_in_the_place_of_one_that_was_dropped_is_not_old)
{
	begin(0, 1);
	zcreq_turn(context, 1 * HOUR);
	take(0, 5);
	zcreq_turn(context, 2 * HOUR);
	drop(1, 3);
	take(1, 3);
	take(5, 6);
	zcreq_turn(context, 3 * HOUR);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_eq(hold_since(holds[i]),
				  zcreq_time(i == 0 || i == 3 || i == 4 ? 2 * HOUR : 3 * HOUR));
	drop(0, 6);
	finish(0, 1);
}
END_TEST

/* The walk ends where one was given back, and changes nothing that is free. */
START_TEST(a_hold_that_is_gone_before_the_turn_does_no_harm)
{
	begin(0, 1);
	zcreq_turn(context, 1 * HOUR);
	take(0, 3);
	drop((unsigned)_i, (unsigned)_i + 1);
	zcreq_turn(context, 2 * HOUR);
	take((unsigned)_i, (unsigned)_i + 1);
	zcreq_turn(context, 3 * HOUR);
	ck_assert_uint_eq(hold_since(holds[_i]), zcreq_time(3 * HOUR));
	drop(0, 3);
	finish(0, 1);
}
END_TEST

/* The first of those that were taken is free, and is not the first free one. */
START_TEST(holds_that_are_gone_before_the_turn_do_no_harm)
{
	begin(0, 1);
	zcreq_turn(context, 1 * HOUR);
	take(0, 2);
	drop(0, 2);
	zcreq_turn(context, 2 * HOUR);
	take(0, 3);
	zcreq_turn(context, 3 * HOUR);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(hold_since(holds[i]), zcreq_time(3 * HOUR));
	drop(0, 3);
	finish(0, 1);
}
END_TEST

/* The last free entry was taken, whose chain ends nowhere, and an older one is free again. */
START_TEST(the_last_hold_is_stamped_though_an_older_one_was_dropped)
{
	static const unsigned fulls[] = {64, 128, 192};
	unsigned full = fulls[_i / 3], fresh = 1 + (unsigned)_i % 3;

	begin(0, 1);
	take(0, full - fresh);
	zcreq_turn(context, 1 * HOUR);
	take(full - fresh, full);
	drop(0, 1);
	zcreq_turn(context, 2 * HOUR);
	for (unsigned i = 1; i < full; i++)
		ck_assert_uint_eq(hold_since(holds[i]), zcreq_time((i < full - fresh ? 1 : 2) * HOUR));
	drop(1, full);
	finish(0, 1);
}
END_TEST

/* Around full tables; no age is ahead of its turn, and none that was there grows younger. */
START_TEST(random_takes_and_drops_stamp_nobody_that_was_there)
{
	static uint32_t since[MOST];
	static bool taken[MOST];
	uint64_t random = (unsigned)_i + 1u;
	unsigned most = 62 + (unsigned)_i % 70;
	uint64_t now = HOUR;

	begin(0, 1);
	for (unsigned step = 0; step < 2000; step++) {
		for (unsigned n = suite_random(&random) % 4; n; n--) {
			unsigned i = suite_random(&random) % most;

			if (taken[i])
				drop(i, i + 1);
			else
				take(i, i + 1);
			since[i] = UINT32_MAX; /* not known yet */
			taken[i] = !taken[i];
		}
		zcreq_turn(context, now += SECOND);
		for (unsigned i = 0; i < most; i++) {
			if (!taken[i])
				continue;
			CLAIM(hold_since(holds[i]) <= zcreq_time(now));
			CLAIM(since[i] == UINT32_MAX || hold_since(holds[i]) == since[i]);
			since[i] = hold_since(holds[i]);
		}
	}
	for (unsigned i = 0; i < most; i++)
		if (taken[i])
			drop(i, i + 1);
	finish(0, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ages");
	TCase *tcase = tcase_create("ages");

	tcase_add_checked_fixture(tcase, scene_setup_bare, scene_teardown);
	tcase_add_test(tcase, before_the_first_turn_nothing_is_old);
	tcase_add_test(tcase, what_was_slept_before_is_not_its_age);
	tcase_add_test(tcase, what_is_slept_afterwards_is_its_age);
	tcase_add_test(tcase, what_begins_in_a_callback_begins_in_that_turn);
	tcase_add_loop_test(tcase, all_that_began_are_found, 0, 72);
	tcase_add_loop_test(tcase, holds_are_as_old_as_the_turn_after_them, 0, 25);
	tcase_add_test(tcase, a_hold_in_the_place_of_one_that_was_dropped_is_not_old);
	tcase_add_loop_test(tcase, a_hold_that_is_gone_before_the_turn_does_no_harm, 0, 3);
	tcase_add_test(tcase, holds_that_are_gone_before_the_turn_do_no_harm);
	tcase_add_loop_test(tcase, the_last_hold_is_stamped_though_an_older_one_was_dropped, 0, 9);
	tcase_add_loop_test(tcase, random_takes_and_drops_stamp_nobody_that_was_there, 0, 70);
	suite_add_tcase(s, tcase);
	return suite_run(s);
}
