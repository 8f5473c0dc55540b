/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve.c - the same work in every loop: traffic, refused sends, ends, other threads
 *
 * Each is done twice: as it comes, and with every wake-up late and none that was not asked
 * for (late.h). That a loop does not spin is counted: wake-ups after which nothing had
 * happened. Those that remain are deadlines, at which somebody looked and found nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "loops/scenes.h"
#include "real/real.h"

#define TO_SEND 200
#define LIMIT_BYTES (1 << 20)

static const struct net_pair roomy = {.near_sndbuf = 8 << 20};
static const struct net_pair unread = {.near_sndbuf = 8 << 20, .far_rcvbuf = 16384};

/* ---- traffic ---- */

static struct load_request *refused; /* begun, and waits for room */

static size_t size_of(size_t request)
{
	unsigned seed = (unsigned)request;

	return 1 + (size_t)rand_r(&seed) % (request % 4 ? 40000 : 100);
}

static void pump(struct load *l)
{
	while (refused || l->count < TO_SEND) {
		int ret;

		if (!refused)
			refused = load_begin(l, 0);
		ret = load_send(refused, size_of(l->count));
		if (ret) {
			ck_assert_int_eq(ret, -EAGAIN);
			return;
		}
		load_finish(refused, 0);
		refused = NULL;
	}
}

static void end_after_the_last(struct load_request *request)
{
	if (request->load->released == TO_SEND)
		ck_ok(load_drain(request->load, 0));
}

static void expect_all(void)
{
	ck_assert_int_eq(load.close_status, 0);
	ck_assert_int_eq(zcreq_conn_cause(load.conn), ZCREQ_CAUSE_DRAINED);
	ck_assert_uint_eq(load.count, TO_SEND);
	ck_assert_uint_eq(load.failed, 0);
	ck_assert(load.far_ended);
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	load_check_ledger(&load);
}

/* Zero-copy sends by hundreds, of which each notification is a POLLERR; then a drain. */
START_TEST(all_that_is_sent_arrives_and_ends_in_order)
{
	const struct zcreq_stream_options options = {.limit_bytes = LIMIT_BYTES};

	scene_be_late(scene_pick(_i));
	load.on_room = pump;
	load.on_released = end_after_the_last;
	scene_open(&roomy, &options);
	scene_reading(true);
	pump(&load);
	scene_until(scene_over, 20000);
	/* the looks for the acknowledgement of the end */
	scene_expect(5000, 12, "traffic");
	ck_assert_uint_gt(load_stats(&load).notifications, 0);
	expect_all();
}
END_TEST

/* Sends are refused, and nothing moves; nobody spins, and then all of it goes. */
START_TEST(a_full_connection_sleeps_until_there_is_room)
{
	const struct zcreq_stream_options options = {.limit_bytes = LIMIT_BYTES};
	unsigned rooms;

	scene_be_late(scene_pick(_i));
	load.on_room = pump;
	load.on_released = end_after_the_last;
	scene_open(&unread, &options);
	pump(&load);
	ck_assert_ptr_nonnull(refused);
	scene_rest(300); /* the receiver's buffer is filled */
	ck_assert_uint_le(scene_rest(300), 5);
	rooms = load.rooms;
	scene_reading(true);
	scene_until(scene_over, 30000);
	scene_expect(20000, 25, "room again");
	ck_assert_uint_gt(load.rooms, rooms);
	expect_all();
}
END_TEST

/* ---- what is due of itself ---- */

/* A copy is released by the turn that sends it. No descriptor ever tells of that. */
START_TEST(a_copied_request_is_released_before_the_loop_sleeps)
{
	const struct zcreq_stream_options options = {.mode = ZCREQ_MODE_NEVER};

	scene_be_late(scene_pick(_i));
	scene_open(&roomy, &options);
	load_finish(load_begin(&load, 1000), 0);
	scene_until(scene_released, 5000);
	scene_expect(1, 0, "one copy");
}
END_TEST

static bool all_of_the_chain(void)
{
	return load.released == TO_SEND;
}

static void send_another(struct load_request *request)
{
	struct load *l = request->load;

	if (l->count < TO_SEND)
		load_finish(load_begin(l, l->count % 16 ? 0 : 1000), 0);
}

/* A callback makes the next request, most of them without a byte to send: more than one turn
 * does, and no descriptor tells that there is more. */
START_TEST(a_chain_of_requests_never_stops)
{
	const struct zcreq_stream_options options = {.mode = ZCREQ_MODE_NEVER};

	scene_be_late(scene_pick(_i));
	load.on_released = send_another;
	scene_open(&roomy, &options);
	load_finish(load_begin(&load, 1000), 0);
	scene_until(all_of_the_chain, 20000);
	scene_expect(TO_SEND, 2, "a chain");
	ck_assert_uint_eq(load.released, TO_SEND);
}
END_TEST

static bool extra_closed(void)
{
	return scene_closed == SCENE_EXTRA;
}

/* Only some are disconnected in one turn; the rest is due "at once", which is a deadline
 * and no event. */
START_TEST(a_crowd_that_is_aborted_is_closed_at_once)
{
	scene_be_late(scene_pick(_i));
	scene_open(&roomy, NULL);
	scene_open_extra(SCENE_EXTRA);
	scene_rest(50);
	for (unsigned i = 0; i < SCENE_EXTRA; i++)
		ck_ok(zcreq_conn_abort(scene_extra(i), -ECANCELED));
	scene_until(extra_closed, 5000);
	scene_expect(SCENE_EXTRA / 16, 3, "a crowd");
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_drain_that_takes_too_long_ends_at_its_deadline)
{
	const bool is_late = scene_pick(_i);
	uint64_t start_ns;

	scene_be_late(is_late);
	scene_open(&unread, NULL);
	for (int i = 0; i < 16; i++)
		load_finish(load_begin(&load, 65536), 0);
	scene_rest(300);
	start_ns = scene_clock();
	ck_ok(load_drain(&load, 200));
	scene_until(scene_is_closed, 5000);
	ck_assert_uint_ge(zcreq_now_ns() - start_ns, 200 * SCENE_MS);
	scene_expect_closed(start_ns, 200 + (is_late ? 2 * SCENE_LATE_MS : 0), "a drain");
	scene_expect(10, 4, "a deadline");
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(load.conn), ZCREQ_CAUSE_DRAIN_DEADLINE);
	load_check_ledger(&load);
}
END_TEST

/* ---- other threads ---- */

#define POSTS 20

static unsigned posts_run;
static sem_t next_post;

static void run_post(struct zcreq_call *call)
{
	(void)call;
	posts_run++;
	sem_post(&next_post);
}

static bool all_posted(void)
{
	return posts_run == POSTS;
}

/* At some moment of the loop's sleep, or just before. */
static void *post_all(void *arg)
{
	static struct zcreq_call calls[POSTS];

	for (unsigned i = 0; i < POSTS; i++) {
		while (sem_wait(&next_post))
			;
		usleep(i * 137);
		calls[i].run = run_post;
		if (zcreq_post(load.context, &calls[i]))
			return arg;
	}
	return NULL;
}

START_TEST(a_call_from_another_thread_wakes_the_loop)
{
	pthread_t thread;
	void *failed = NULL;

	scene_be_late(scene_pick(_i));
	ck_ok(zcreq_threads_open(load.context, 0));
	scene_open(&roomy, NULL);
	ck_ok(sem_init(&next_post, 0, 1));
	ck_ok(pthread_create(&thread, NULL, post_all, &posts_run));
	scene_until(all_posted, 10000);
	ck_ok(pthread_join(thread, &failed));
	ck_assert_ptr_null(failed);
	/* a call is no progress of a connection: each wake-up is counted as empty */
	scene_expect(2 * POSTS + 2, 2 * POSTS + 2, "20 calls");
}
END_TEST

void serve_add(TCase *group)
{
	const int twice = 2 * scene_loops();

	tcase_add_loop_test(group, all_that_is_sent_arrives_and_ends_in_order, 0, twice);
	tcase_add_loop_test(group, a_full_connection_sleeps_until_there_is_room, 0, twice);
	tcase_add_loop_test(group, a_copied_request_is_released_before_the_loop_sleeps, 0, twice);
	tcase_add_loop_test(group, a_chain_of_requests_never_stops, 0, twice);
	tcase_add_loop_test(group, a_crowd_that_is_aborted_is_closed_at_once, 0, twice);
	tcase_add_loop_test(group, a_drain_that_takes_too_long_ends_at_its_deadline, 0, twice);
	tcase_add_loop_test(group, a_call_from_another_thread_wakes_the_loop, 0, twice);
}
