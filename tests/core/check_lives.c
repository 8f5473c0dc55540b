/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_lives.c - many requests at random, against a model of a few counters
 *
 * Each seed is a test. The model is as simple as can be: what was said about a
 * request so far. After each turn the two must agree on everything that can
 * be heard.
 */
#include "support/suite.h"

#include <errno.h>
#include <stdbool.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"

#define LIVES 12
#define HOLDS 4
#define STEPS 400

struct life {
	struct heard heard;
	bool begun, finished, aborted;
	int status;
	unsigned held;
	zcreq_hold holds[HOLDS];
};

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct life lives[LIVES];
static bool conn_open;
static uint64_t seed, stale, begun, released;

static unsigned pick(unsigned n)
{
	return (suite_random(&seed) >> 33) % n;
}

static int pick_status(void)
{
	return pick(3) ? 0 : -1 - (int)pick(100);
}

static void note(struct life *life, int status)
{
	if (!life->status)
		life->status = status;
}

static bool is_over(const struct life *life)
{
	return life->begun && life->finished && !life->held;
}

static void step_begin(struct life *life)
{
	int ret;

	if (life->begun)
		return;
	*life = (struct life){0};
	ret = zcreq_begin(conn, &heard_ops, &life->heard, 0, &life->heard.id);
	ck_assert_int_eq(ret, conn_open ? 0 : -ESHUTDOWN);
	life->begun = ret == 0;
	begun += life->begun;
}

static void step_take(struct life *life)
{
	bool gone = !life->begun || life->finished;
	zcreq_hold hold;
	int ret;

	if (life->held == HOLDS || (!life->begun && !life->heard.id.bits))
		return;
	ret = zcreq_take(context, life->heard.id, &hold);
	ck_assert_int_eq(ret, gone ? -ESTALE : life->aborted ? -ECANCELED : 0);
	stale += ret == -ESTALE;
	if (!ret)
		life->holds[life->held++] = hold;
}

static void step_drop(struct life *life)
{
	int status = pick_status();
	zcreq_hold hold;
	unsigned n;

	if (!life->held)
		return;
	n = pick(life->held);
	hold = life->holds[n];
	life->holds[n] = life->holds[--life->held];
	note(life, status);
	ck_assert_int_eq(zcreq_drop(context, hold, status), 0);
	ck_assert_int_eq(zcreq_drop(context, hold, -EIO), -ESTALE);
	stale++;
}

static void step_finish(struct life *life)
{
	bool gone = !life->begun || life->finished;
	int status = pick_status(), ret = zcreq_finish(context, life->heard.id, status);

	ck_assert_int_eq(ret, gone ? -ESTALE : 0);
	stale += gone;
	if (gone)
		return;
	life->finished = true;
	note(life, status);
}

static void step_abort(struct life *life)
{
	bool gone = !life->begun || is_over(life);
	int ret = zcreq_abort(context, life->heard.id, -ENODEV);

	ck_assert_int_eq(ret, gone ? -ESTALE : life->aborted ? -EALREADY : 0);
	stale += gone;
	if (ret)
		return;
	life->aborted = true;
	note(life, -ENODEV);
}

/* The connection dies and another takes its place. */
static void step_conn(void)
{
	if (conn_open) {
		ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
		conn_open = false;
		for (unsigned i = 0; i < LIVES; i++) {
			if (lives[i].begun && !is_over(&lives[i]) && !lives[i].aborted) {
				lives[i].aborted = true;
				note(&lives[i], -EPIPE);
			}
		}
	} else {
		zcreq_conn_free(conn);
		ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
		conn_open = true;
	}
}

static unsigned heard_so_far(void)
{
	unsigned calls = 0;

	for (unsigned i = 0; i < LIVES; i++)
		calls += heard_calls(&lives[i].heard);
	return calls;
}

/* What is due is heard, and nothing else. */
static void step_turn(void)
{
	unsigned calls;

	zcreq_turn(context, 0);
	for (unsigned i = 0; i < LIVES; i++) {
		struct life *life = &lives[i];
		bool over = is_over(life);

		if (!life->begun)
			continue;
		ck_assert_uint_eq(life->heard.released, over);
		ck_assert_uint_eq(life->heard.settled, over || life->status);
		if (life->heard.settled)
			ck_assert_int_eq(life->heard.status, life->status);
		released += over;
		life->begun = !over;
	}
	calls = heard_so_far();
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heard_so_far(), calls);
	ck_assert_uint_eq(stats_of(context).stale_handles, stale);
	ck_assert_uint_eq(stats_of(context).released, released);
	ck_assert_uint_eq(stats_of(context).requests_now, begun - released);
}

static void step(void)
{
	struct life *life = &lives[pick(LIVES)];

	switch (pick(12)) {
	case 0: case 1: case 2:
		return step_begin(life);
	case 3: case 4:
		return step_take(life);
	case 5: case 6:
		return step_drop(life);
	case 7: case 8:
		return step_finish(life);
	case 9:
		return pick(3) ? (void)0 : step_abort(life);
	case 10:
		return pick(10) ? (void)0 : step_conn();
	default:
		return step_turn();
	}
}

START_TEST(i1_random_lives_are_reported_exactly_once)
{
	seed = _i + 1;
	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
	conn_open = true;
	for (unsigned i = 0; i < STEPS; i++)
		step();
	for (unsigned i = 0; i < LIVES; i++) {
		while (lives[i].held)
			step_drop(&lives[i]);
		if (lives[i].begun && !lives[i].finished)
			step_finish(&lives[i]);
	}
	step_turn();
	ck_assert_uint_eq(begun, released);
	ck_assert_uint_eq(stats_of(context).begun, begun);
	ck_assert_uint_eq(stats_of(context).holds_now, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lives");
	TCase *random = tcase_create("random");

	tcase_add_loop_test(random, i1_random_lives_are_reported_exactly_once, 0, 100);
	suite_add_tcase(s, random);
	return suite_run(s);
}
