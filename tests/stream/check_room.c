/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_room.c - one rule for the limit: what is refused, what the room is, when it is told
 *
 * The oracle here keeps the lengths of what is held, and of what was refused, and says by
 * the words of zcreq/stream.h what has to come.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>

#include "support/scene.h"

#define LIMIT 1000000

static char big[2 * LIMIT];
static unsigned released;

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
	released++;
}

static const struct zcreq_request_hooks counts = {.released = on_released};

static int try_send(size_t len)
{
	const struct iovec iov = {.iov_base = big, .iov_len = len};

	return zcreq_send(conn, &counts, NULL, &iov, 1, 0, NULL);
}

static void setup(void)
{
	scene_setup();
	options.limit_bytes = LIMIT;
	scene_open();
}

/* The batches lo to hi, which are the oldest, are proven. */
static void prove(uint32_t lo, uint32_t hi)
{
	stub_notify(&stub, lo, hi, false);
	stub.unproven = hi + 1;
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
}

/* ---- roomhalf.c: it was called at half the limit, and refused again ---------------- */

START_TEST(when_it_is_told_what_was_refused_is_taken)
{
	for (uint32_t i = 0; i < 9; i++) {
		ck_assert_int_eq(try_send(100000), 0);
		zcreq_turn(context, 0);
	}
	ck_assert_int_eq(try_send(900000), -EAGAIN);
	for (uint32_t i = 0; i < 8; i++) {
		ck_assert_uint_eq(hooks.room, 0);
		prove(i, i);
	}
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_int_eq(try_send(900000), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 1);
}
END_TEST

START_TEST(what_is_small_is_told_when_half_is_free)
{
	for (uint32_t i = 0; i < 10; i++) {
		ck_assert_int_eq(try_send(100000), 0);
		zcreq_turn(context, 0);
	}
	ck_assert_int_eq(_i ? zcreq_write(conn, big, 1) : try_send(1), -EAGAIN);
	prove(0, 3);
	ck_assert_uint_eq(hooks.room, 0);
	prove(4, 4);
	ck_assert_uint_eq(hooks.room, 1);
}
END_TEST

/* The largest decides, so that whoever was refused can go on. */
START_TEST(of_several_all_would_be_taken)
{
	static const size_t orders[][3] = {{1, 990000, 2}, {990000, 1, 2}, {2, 1, 990000}};

	for (uint32_t i = 0; i < 10; i++) {
		ck_assert_int_eq(try_send(100000), 0);
		zcreq_turn(context, 0);
	}
	for (unsigned i = 0; i < COUNT(orders[_i]); i++)
		ck_assert_int_eq(try_send(orders[_i][i]), -EAGAIN);
	prove(0, 8);
	ck_assert_uint_eq(hooks.room, 0);
	prove(9, 9);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_int_eq(try_send(990000), 0);
}
END_TEST

/* More than the limit is taken alone, and told of when it would be. */
START_TEST(what_is_larger_than_the_limit_waits_for_all)
{
	ck_assert_int_eq(try_send(1), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(try_send(LIMIT + 1), -EAGAIN);
	ck_assert_int_eq(try_send(1), 0);
	zcreq_turn(context, 0);
	prove(0, 0);
	ck_assert_uint_eq(hooks.room, 0);
	prove(1, 1);
	ck_assert_uint_eq(hooks.room, 1);
	ck_assert_int_eq(try_send(LIMIT + 1), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
	ck_assert_int_eq(zcreq_write(conn, big, 1), -EAGAIN);
	prove(2, 2);
	ck_assert_uint_eq(hooks.room, 2);
}
END_TEST

/* ---- asking ------------------------------------------------------------------- */

START_TEST(the_room_is_what_is_taken)
{
	ck_assert_uint_eq(zcreq_room(conn), UINT64_MAX);
	ck_assert_int_eq(try_send(300000), 0);
	ck_assert_uint_eq(zcreq_room(conn), 700000);
	ck_assert_int_eq(try_send(700001), -EAGAIN);
	ck_assert_int_eq(zcreq_write(conn, big, 10), 0);
	ck_assert_uint_eq(zcreq_room(conn), 699990);
	ck_assert_int_eq(try_send(699990), 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
	scene_prove();
	ck_assert_uint_eq(zcreq_room(conn), UINT64_MAX);
}
END_TEST

/* Whoever asks and then waits is called, though nothing was refused. */
START_TEST(whoever_asked_is_told_of_more)
{
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_int_eq(try_send(100000), 0);
		zcreq_turn(context, 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(zcreq_room(conn), LIMIT - (4 - i) * 100000);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(hooks.room, i);
		prove(i, i);
		ck_assert_uint_eq(hooks.room, i + 1);
	}
	ck_assert_uint_eq(zcreq_room(conn), UINT64_MAX);
	ck_assert_int_eq(try_send(1), 0);
	zcreq_turn(context, 0);
	prove(4, 4);
	ck_assert_uint_eq(hooks.room, 4);
}
END_TEST

START_TEST(without_a_limit_there_is_always_room)
{
	struct zcreq_conn *another;
	const struct iovec iov = {.iov_base = big, .iov_len = sizeof(big)};

	options.limit_bytes = 0;
	another = scene_open_another(&options);
	ck_assert_uint_eq(zcreq_room(another), UINT64_MAX);
	ck_assert_int_eq(zcreq_send(another, &counts, NULL, &iov, 1, 0, NULL), 0);
	ck_assert_uint_eq(zcreq_room(another), UINT64_MAX);
	zcreq_conn_free(another);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.room, 0);
}
END_TEST

START_TEST(there_is_none_after_the_end)
{
	ck_assert_uint_eq(zcreq_room(NULL), 0);
	ck_assert_int_eq(zcreq_conn_end(conn), 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(zcreq_room(conn), 0);
}
END_TEST

START_TEST(without_a_socket_there_is_none)
{
	ck_assert_uint_eq(zcreq_room(conn), 0);
}
END_TEST

/* ---- at random ------------------------------------------------------------------ */

#define STEPS 3000
#define SMALL_LIMIT 1000

static struct {
	uint64_t lens[STEPS]; /* of batches, by id */
	uint32_t oldest, next;
	uint64_t held;
	uint64_t owed_at;     /* the hook comes when no more is held; NEVER: it is not owed */
	unsigned told;
} oracle;

static void oracle_owes(uint64_t held)
{
	uint64_t at = held < SMALL_LIMIT / 2 ? held : SMALL_LIMIT / 2;

	if (oracle.owed_at == ZCREQ_NEVER || at < oracle.owed_at)
		oracle.owed_at = at;
}

static void random_send(uint64_t len)
{
	bool taken = !oracle.held || oracle.held + len <= SMALL_LIMIT;

	ck_assert_int_eq(try_send(len), taken ? 0 : -EAGAIN);
	if (!taken) {
		oracle_owes(len < SMALL_LIMIT ? SMALL_LIMIT - len : 0);
		return;
	}
	oracle.lens[oracle.next++] = len;
	oracle.held += len;
	zcreq_turn(context, 0);
}

static void random_look(void)
{
	uint64_t room = oracle.held > SMALL_LIMIT ? 0 : SMALL_LIMIT - oracle.held;

	ck_assert_uint_eq(zcreq_room(conn), oracle.held ? room : UINT64_MAX);
	if (oracle.held)
		oracle_owes(oracle.held - 1);
}

static void random_proof(uint32_t count)
{
	uint32_t lo = oracle.oldest;

	while (count-- && oracle.oldest != oracle.next)
		oracle.held -= oracle.lens[oracle.oldest++];
	if (oracle.oldest == lo)
		return;
	if (oracle.owed_at != ZCREQ_NEVER && oracle.held <= oracle.owed_at) {
		oracle.owed_at = ZCREQ_NEVER;
		oracle.told++;
	}
	prove(lo, oracle.oldest - 1);
}

START_TEST(at_random_it_is_one_rule)
{
	uint64_t seed = (uint64_t)_i + 1;

	options.limit_bytes = SMALL_LIMIT;
	scene_open();
	oracle.owed_at = ZCREQ_NEVER;
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t luck = suite_random(&seed);

		switch (luck % 8) {
		case 0: random_look(); break;
		case 1: case 2: random_proof(1 + luck / 8 % 5); break;
		case 3: random_send(1 + luck / 8 % (2 * SMALL_LIMIT)); break;
		default: random_send(1 + luck / 8 % (SMALL_LIMIT / 4));
		}
		ck_assert_uint_eq(hooks.room, oracle.told);
	}
	ck_assert_uint_gt(oracle.told, 50);
	random_proof(STEPS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("room");
	TCase *limit = tcase_create("limit");
	TCase *bare = tcase_create("bare");
	TCase *luck = tcase_create("luck");

	tcase_add_checked_fixture(limit, setup, scene_teardown);
	tcase_add_test(limit, when_it_is_told_what_was_refused_is_taken);
	tcase_add_loop_test(limit, what_is_small_is_told_when_half_is_free, 0, 2);
	tcase_add_loop_test(limit, of_several_all_would_be_taken, 0, 3);
	tcase_add_test(limit, what_is_larger_than_the_limit_waits_for_all);
	tcase_add_test(limit, the_room_is_what_is_taken);
	tcase_add_test(limit, whoever_asked_is_told_of_more);
	tcase_add_test(limit, without_a_limit_there_is_always_room);
	tcase_add_test(limit, there_is_none_after_the_end);
	suite_add_tcase(s, limit);
	tcase_add_checked_fixture(bare, scene_setup_bare, scene_teardown);
	tcase_add_test(bare, without_a_socket_there_is_none);
	suite_add_tcase(s, bare);
	tcase_add_checked_fixture(luck, scene_setup, scene_teardown);
	tcase_add_loop_test(luck, at_random_it_is_one_rule, 0, 10);
	suite_add_tcase(s, luck);
	return suite_run(s);
}
