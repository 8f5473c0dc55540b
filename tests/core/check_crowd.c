/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_crowd.c - many connections that end at once do not stall the others
 */
#include "support/suite.h"

#include <errno.h>

#include <zcreq/zcreq.h>

#include "core/core.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define MANY 200
#define SECOND ((uint64_t)1000000000)

static struct counting memory;
static struct zcreq_context *context;
static struct stub stubs[MANY];
static struct zcreq_conn *conns[MANY];
static struct heard heard[MANY];
static char data[64];

static void setup(void)
{
	context = counting_context(&memory, 0);
	for (int i = 0; i < MANY; i++) {
		stub_init(&stubs[i]);
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
		heard_begin(conns[i], &heard[i]);
		stub_send(conns[i], heard[i].id, data, sizeof(data));
		ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
	}
}

static unsigned disconnected(void)
{
	unsigned sum = 0;

	for (int i = 0; i < MANY; i++)
		sum += stubs[i].disconnects;
	return sum;
}

static unsigned closed(void)
{
	unsigned sum = 0;

	for (int i = 0; i < MANY; i++)
		sum += stubs[i].closes;
	return sum;
}

/* No step disconnects more than so many; each is disconnected once, before its close. */
static void end_all(void)
{
	unsigned before, steps = 0;

	while (closed() < MANY) {
		before = disconnected();
		CLAIM(zcreq_turn(context, SECOND + steps++) != ZCREQ_NEVER || closed() == MANY);
		CLAIM(disconnected() - before <= ZCREQ_DISCONNECTS_AT_ONCE);
		CLAIM(disconnected() >= closed());
	}
	ck_assert_uint_le(steps, MANY / ZCREQ_DISCONNECTS_AT_ONCE + 1);
	for (int i = 0; i < MANY; i++) {
		CLAIM(stubs[i].disconnects == 1);
		CLAIM(heard[i].released == 1);
		CLAIM(heard[i].settled == 1);
	}
	counting_end(&memory, context);
}

START_TEST(i4_all_outcomes_are_told_at_once_and_all_proof_comes_without_time)
{
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(zcreq_conn_abort(conns[i], -ECANCELED), 0);
	ck_assert_uint_eq(disconnected(), ZCREQ_DISCONNECTS_AT_ONCE);
	zcreq_turn(context, 0);
	for (int i = 0; i < MANY; i++) {
		CLAIM(heard[i].settled == 1);
		CLAIM(zcreq_conn_state(conns[i]) >= ZCREQ_CONN_ABORTING);
		zcreq_conn_free(conns[i]);
	}
	end_all();
}
END_TEST

/* What is proven before its turn comes is a reset for the peer all the same. */
START_TEST(one_with_nothing_to_wait_for_waits_for_its_turn_too)
{
	for (int i = 0; i < MANY; i++) {
		stub_prove_all(&stubs[i]);
		ck_assert_int_eq(zcreq_conn_abort(conns[i], -ECANCELED), 0);
	}
	zcreq_turn(context, 0);
	for (int i = 0; i < MANY; i++) {
		CLAIM(heard[i].released == 1);
		zcreq_conn_free(conns[i]);
	}
	/* those of before the turn, and those in it */
	ck_assert_uint_eq(closed(), 2 * ZCREQ_DISCONNECTS_AT_ONCE);
	end_all();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crowd");
	TCase *ends = tcase_create("ends");

	tcase_add_checked_fixture(ends, setup, NULL);
	tcase_add_test(ends, i4_all_outcomes_are_told_at_once_and_all_proof_comes_without_time);
	tcase_add_test(ends, one_with_nothing_to_wait_for_waits_for_its_turn_too);
	suite_add_tcase(s, ends);
	return suite_run(s);
}
