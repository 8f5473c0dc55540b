/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_threads.c - a controller whose queues are on several threads
 *
 * What another thread has to do (end a queue, take its place again, be counted) is
 * done; threads.sh has the other tests once more with two threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define QUEUES 6
#define NEVER_MS 120000
#define END_MS 30000 /* before that of the keep-alive */

static const char *const modes[][8] = {
	{ "--listen", "127.0.0.1:0", "--threads", "3" },
	{ "--listen", "127.0.0.1:0", "--threads", "2", "--poll" },
};

static void setup(void)
{
	ck_assert(target_start(&fixture_target, -1, modes[0]));
}

static struct ini_controller *connect_silent(void)
{
	struct ini_host host = target_host(&fixture_target, 1, QUEUES, 16);

	host.keep_alive_ms = NEVER_MS;
	return fixture_connect_host(&host);
}

static void assert_queues_end(struct ini_controller *controller, int first)
{
	for (int qid = first; qid <= QUEUES; qid++)
		ck_assert_msg(fixture_wait_end(controller->queues[qid], END_MS),
			      "queue %d is still there", qid);
}

static void assert_all_is_gone(void)
{
	struct target_stats stats;

	ck_assert(target_settles(&fixture_target, 0, INI_WAIT_MS, &stats));
	ck_assert_int_eq(stats.queues, 0);
	ck_assert_int_eq(stats.begun, stats.released);
	ck_assert_int_eq(stats.stale, 0);
}

static void serves_on_every_queue(struct ini_controller *controller)
{
	uint32_t size = fixture_block_size(controller);
	uint8_t *data = malloc(size);

	for (int qid = 1; qid <= QUEUES; qid++) {
		memset(data, qid, size);
		ck_assert_int_eq(ini_transfer(controller, qid, nvme_cmd_write, 1, 7, 1, data, size), 0);
		memset(data, 0xee, size);
		ck_assert_int_eq(ini_transfer(controller, qid % QUEUES + 1, nvme_cmd_read, 1, 7, 1,
					      data, size), 0);
		ck_assert(data[0] == qid && data[size - 1] == qid);
	}
	free(data);
}

START_TEST(queues_of_a_controller_are_on_every_thread)
{
	struct ini_controller *controller = connect_silent();
	char key[16];

	for (int thread = 0; thread < 3; thread++) {
		snprintf(key, sizeof(key), "thread=%d", thread);
		ck_assert_int_ge(target_log_count(&fixture_target, 0, "connect", key), 2);
	}
	serves_on_every_queue(controller);
	ck_assert(ini_controller_shutdown(controller));
	assert_all_is_gone();
}
END_TEST

START_TEST(the_end_of_the_admin_queue_ends_queues_of_other_threads)
{
	struct ini_controller *controller = connect_silent();

	serves_on_every_queue(controller);
	ck_assert_int_eq(shutdown(controller->queues[0]->fd, SHUT_RDWR), 0);
	assert_queues_end(controller, 1);
	assert_all_is_gone();
	ini_controller_close(controller, false);
}
END_TEST

/* CC.EN to 0: queues that were connected before are over on all threads, those that
 * are connected after are not, on whichever thread and with whichever number. */
START_TEST(a_disabled_controller_loses_its_queues_and_gets_new_ones)
{
	struct ini_controller *controller = connect_silent();
	struct ini_host host = target_host(&fixture_target, 1, QUEUES, 16);
	struct ini_queue *again[QUEUES];
	uint16_t connected;
	uint64_t cc = 0;

	for (int round = 0; round < 20; round++) {
		ck_assert_int_eq(ini_property_get(controller->queues[0], NVME_REG_CC, &cc), 0);
		ck_assert_int_eq(ini_property_set(controller->queues[0], NVME_REG_CC,
						  (uint32_t)cc & ~1u), 0);
		ck_assert_int_eq(ini_property_set(controller->queues[0], NVME_REG_CC,
						  (uint32_t)cc | 1), 0);
		if (round == 0)
			assert_queues_end(controller, 1);
		for (uint16_t qid = 1; qid <= QUEUES; qid++) {
			again[qid - 1] = ini_open(&host.options, qid, 16, INI_WAIT_MS);
			ck_assert_int_eq(ini_connect(again[qid - 1], &host, controller->id,
						     &connected), 0);
		}
		ck_assert_int_eq(ini_keep_alive(controller), 0);
		ini_poll(again, QUEUES, 20);
		for (int i = 0; i < QUEUES; i++) {
			ck_assert_msg(!again[i]->ended, "round %d: %s", round, again[i]->reason);
			ini_close(again[i], false);
		}
	}
	ini_controller_close(controller, false);
	assert_all_is_gone();
}
END_TEST

START_TEST(a_target_that_polls_serves_and_stops)
{
	struct target_stats stats;
	struct ini_controller *controller;

	ck_assert(target_start(&fixture_target, -1, modes[1]));
	controller = connect_silent();
	serves_on_every_queue(controller);
	ck_assert(target_stats(&fixture_target, &stats));
	ck_assert_int_eq(stats.queues, QUEUES + 1);
	ck_assert(ini_controller_shutdown(controller));
	fixture_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = tcase_create("three"), *poll = tcase_create("poll");

	target_need();
	tcase_add_checked_fixture(tcase, setup, fixture_stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, queues_of_a_controller_are_on_every_thread);
	tcase_add_test(tcase, the_end_of_the_admin_queue_ends_queues_of_other_threads);
	tcase_add_test(tcase, a_disabled_controller_loses_its_queues_and_gets_new_ones);
	suite_add_tcase(suite, tcase);
	tcase_add_test(poll, a_target_that_polls_serves_and_stops);
	suite_add_tcase(suite, poll);
	return fixture_run(suite);
}
