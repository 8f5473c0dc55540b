/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_limits.c - what one host may cost the others is bounded
 *
 * Memory of answers that a host does not read, with a namespace in a file, where an answer
 * is memory that was not there before; the time of deallocations on a namespace of a tebibyte;
 * controllers; and connections that never say which queue they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "support/witness.h"

#define BLOCK 4096u
#define MIB (1u << 20)

static char path[] = "check_limits.XXXXXX";

static void start(const char *const *arguments)
{
	ck_assert(target_start(&fixture_target, -1, arguments));
}

/* --- the cap ----------------------------------------------------------------- */

#define CAP_QUEUES 4
#define CAP_READS 120

static void start_with_file(void)
{
	char spec[64];
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", spec, "--cap", "4K",
					  NULL };

	close(mkstemp(path));
	snprintf(spec, sizeof(spec), "file:%s:%u", path, 64 * MIB);
	start(arguments);
}

static void stop_with_file(void)
{
	fixture_stop();
	unlink(path);
}

static void count_right(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	const uint32_t *data = command->data;

	(void)queue;
	ck_assert_uint_eq(ini_status(&command->cqe), 0);
	for (uint32_t block = 0; block < command->len / BLOCK; block++)
		ck_assert_uint_eq(data[block * BLOCK / sizeof(*data)], command->sqe.cdw10 + block);
	++*(unsigned *)arg;
}

/* Each block's first word is its number. */
static void number_blocks(struct ini_controller *controller, uint32_t bytes)
{
	uint8_t *data = calloc(1, MIB);

	for (uint32_t lba = 0; lba < bytes / BLOCK; lba += MIB / BLOCK) {
		for (uint32_t block = 0; block < MIB / BLOCK; block++)
			memcpy(data + (size_t)block * BLOCK, &(uint32_t){ lba + block }, sizeof(uint32_t));
		ck_assert_int_eq(ini_transfer(controller, 1, nvme_cmd_write, 1, lba, MIB / BLOCK, data,
					      MIB), 0);
	}
	free(data);
}

/* One answer always fits, and one more may have found no room for its headers. */
START_TEST(cap_bounds_what_is_read_for_a_host_that_does_not_read)
{
	struct ini_host host = target_host(&fixture_target, 1, CAP_QUEUES, 128);
	struct ini_controller *greedy, *other = fixture_connect(2, 1, 32);
	uint8_t *data = calloc(CAP_QUEUES, MIB);
	struct target_stats stats;
	unsigned done = 0;

	number_blocks(other, 64 * MIB);
	host.options.receive_buffer = 65536;
	greedy = fixture_connect_host(&host);
	for (uint32_t i = 0; i < CAP_QUEUES * CAP_READS; i++) {
		struct wire_sqe sqe = ini_block_sqe(nvme_cmd_read, 1, i % 60 * 256, MIB / BLOCK);
		uint32_t queue = i % CAP_QUEUES;

		ck_assert(ini_submit(greedy->queues[1 + queue], &sqe, data + (size_t)queue * MIB, MIB,
				     false, 0, count_right, &done));
	}
	for (int i = 1; i <= CAP_QUEUES; i++)
		ini_flush(greedy->queues[i]);
	for (int i = 0; i < 20; i++) /* turns of the target's loop */
		fixture_serves(other);
	ck_assert(target_stats(&fixture_target, &stats));
	printf("%d queues, %d reads of 1 MiB each, none of them read, --cap 4K: %.1f MiB a queue\n",
	       CAP_QUEUES, CAP_READS, (double)stats.blocks_used * BLOCK / MIB / CAP_QUEUES);
	ck_assert_int_le(stats.blocks_used, CAP_QUEUES * 2 * (long)(MIB / BLOCK));
	while (done < CAP_QUEUES * CAP_READS)
		ck_assert(ini_poll(greedy->queues + 1, CAP_QUEUES, INI_WAIT_MS));
	free(data);
	ini_controller_close(other, false);
	ck_assert(ini_controller_shutdown(greedy));
}
END_TEST

/* --- Dataset Management ------------------------------------------------------- */

#define TIB_BLOCKS (1u << 28)
#define DSM_MOST 256 /* ranges that the command can have */
#define DSM_DEALLOCATE 4
#define DSM_SLOWEST_MS 50

static void start_huge(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1T", NULL };

	start(arguments);
}

/* What the controller reports; where it has no limit, what there is. */
static struct nvme_id_ctrl_nvm dsm_limits(struct ini_controller *controller)
{
	static struct nvme_id_ctrl_nvm page;

	ck_assert_int_eq(ini_identify(controller, NVME_IDENTIFY_CNS_CSI_CTRL, 0, &page), 0);
	return page;
}

static void fill_ranges(struct nvme_dsm_range *ranges, uint32_t blocks)
{
	for (uint32_t i = 0; i < DSM_MOST; i++)
		ranges[i] = (struct nvme_dsm_range){ .nlb = blocks };
}

static int dsm(struct ini_controller *controller, struct nvme_dsm_range *ranges, uint32_t count)
{
	struct wire_sqe sqe = { .opcode = nvme_cmd_dsm, .nsid = 1, .cdw10 = count - 1,
				.cdw11 = DSM_DEALLOCATE };

	return ini_wait(controller->queues[1], &sqe, ranges, count * (uint32_t)sizeof(*ranges), true,
			controller->in_capsule, NULL, INI_WAIT_MS);
}

START_TEST(deallocation_beyond_the_reported_limits_is_refused)
{
	const int over = NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | NVME_SC_CMD_SIZE_LIMIT_EXCEEDED;
	struct ini_controller *controller = fixture_connect(1, 1, 32);
	struct nvme_id_ctrl_nvm limits = dsm_limits(controller);
	struct nvme_dsm_range ranges[DSM_MOST];

	ck_assert_uint_gt(limits.dmrl, 0);
	ck_assert_uint_gt(limits.dmrsl, 0);
	ck_assert_uint_eq(limits.dmsl, (uint64_t)limits.dmrl * limits.dmrsl);
	fill_ranges(ranges, limits.dmrsl);
	ck_assert_int_eq(dsm(controller, ranges, limits.dmrl), 0);
	ck_assert_int_eq(dsm(controller, ranges, limits.dmrl + 1u), over);
	ranges[limits.dmrl - 1].nlb++;
	ck_assert_int_eq(dsm(controller, ranges, limits.dmrl), over);
	ck_assert_int_eq(dsm(controller, ranges, limits.dmrl - 1u), 0);
	fixture_serves(controller);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

static void count_done(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	(void)queue;
	ck_assert_uint_eq(ini_status(&command->cqe), 0);
	++*(unsigned *)arg;
}

/* Which of all completions it was. */
static void note_place(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	static unsigned completions;

	(void)queue;
	ck_assert_uint_eq(ini_status(&command->cqe), 0);
	*(unsigned *)arg = ++completions;
}

static void post_dsm(struct ini_controller *controller, struct nvme_dsm_range *ranges, uint32_t count,
		     ini_done *completed, unsigned *done)
{
	struct wire_sqe sqe = { .opcode = nvme_cmd_dsm, .nsid = 1, .cdw10 = count - 1,
				.cdw11 = DSM_DEALLOCATE };

	ck_assert(ini_submit(controller->queues[1], &sqe, ranges, count * (uint32_t)sizeof(*ranges), true,
			     controller->in_capsule, completed, done));
}

/* A command that came in the same packet, behind the deallocation. */
START_TEST(long_deallocation_leaves_the_turn_to_others)
{
	struct ini_controller *controller = fixture_connect(1, 1, 32);
	struct nvme_dsm_range ranges[DSM_MOST];
	struct wire_sqe read = ini_block_sqe(nvme_cmd_read, 1, 0, 1);
	unsigned long_one = 0, short_one = 0;
	uint8_t data[BLOCK];

	fill_ranges(ranges, 1u << 20);
	post_dsm(controller, ranges, 64, note_place, &long_one);
	ck_assert(ini_submit(controller->queues[1], &read, data, BLOCK, false, 0, note_place,
			     &short_one));
	while (!short_one || !long_one)
		ck_assert(ini_poll(controller->queues + 1, 1, INI_WAIT_MS));
	ck_assert_uint_lt(short_one, long_one);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

/* 20 of the largest, again and again, of a namespace of which 256 MiB are written. */
START_TEST(long_deallocations_starve_nobody)
{
	struct ini_controller *greedy = fixture_connect(1, 1, 32), *other = fixture_connect(2, 1, 32);
	struct nvme_id_ctrl_nvm limits = dsm_limits(greedy);
	uint32_t blocks = limits.dmrsl ? limits.dmrsl : TIB_BLOCKS;
	uint32_t count = limits.dmrl ? limits.dmrl : DSM_MOST;
	struct nvme_dsm_range ranges[DSM_MOST];
	unsigned posted = 0, done = 0;
	int slowest_ms = 0, reads = 0, stopped_ms;

	number_blocks(other, 256 * MIB);
	fill_ranges(ranges, blocks);
	witness_start();
	witness_watch(fixture_target.pid);
	while (done < 20) {
		uint64_t waited_ns = witness_waited_ns(), start_ns = ini_now_ns(), took_ns;

		while (posted < 20)
			posted++, post_dsm(greedy, ranges, count, count_done, &done);
		ini_poll(greedy->queues + 1, 1, 0);
		fixture_serves(other);
		reads++;
		took_ns = ini_now_ns() - start_ns;
		waited_ns = witness_waited_ns() - waited_ns;
		took_ns -= waited_ns < took_ns ? waited_ns : took_ns;
		if ((int)(took_ns / 1000000u) > slowest_ms)
			slowest_ms = (int)(took_ns / 1000000u);
	}
	stopped_ms = (int)(witness_stopped_ns() / 1000000u);
	printf("20 deallocations of %u ranges of %u blocks: %d reads of the other host meanwhile, slowest "
	       "%d ms without waiting for a processor (the machine was away for %d)\n",
	       count, blocks, reads, slowest_ms, stopped_ms);
	ck_assert_int_lt(slowest_ms, DSM_SLOWEST_MS + stopped_ms);
	ini_controller_close(greedy, false);
	ck_assert(ini_controller_shutdown(other));
}
END_TEST

/* --- controllers and connections ---------------------------------------------- */

#define HANDSHAKE_MS 400

static void start_small(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M",
						 "--host-controllers", "4", NULL };

	start(arguments);
}

static int connect_status(struct ini_host host)
{
	struct ini_queue *queue = ini_open(&host.options, 0, 32, INI_WAIT_MS);
	uint16_t got;
	int status;

	ck_assert_msg(!queue->ended, "%s", queue->reason);
	status = ini_connect(queue, &host, INI_ANY_CONTROLLER, &got);
	ini_close(queue, false);
	return status;
}

START_TEST(one_host_gets_so_many_controllers_and_no_more)
{
	const int busy = NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | NVME_SC_CONNECT_CTRL_BUSY;
	struct ini_controller *controllers[4], *other;
	struct target_stats stats;

	for (int i = 0; i < 4; i++)
		controllers[i] = fixture_connect(1, 1, 16);
	ck_assert_int_eq(connect_status(target_host(&fixture_target, 1, 0, 32)), busy);
	other = fixture_connect(2, 1, 16);
	for (int i = 0; i < 4; i++)
		fixture_serves(controllers[i]);
	ini_controller_close(controllers[0], false);
	ck_assert(target_settles(&fixture_target, 4, INI_WAIT_MS, &stats));
	controllers[0] = fixture_connect(1, 1, 16);
	for (int i = 0; i < 4; i++)
		ini_controller_close(controllers[i], false);
	ini_controller_close(other, false);
}
END_TEST

static void start_impatient(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M",
						 "--handshake-ms", "400", NULL };

	start(arguments);
}

/* 0: says nothing; 1: half an ICReq; 2: no Connect; 3: a Connect that is refused; 4: one command
 * after the other that is no Connect */
START_TEST(connection_that_connects_no_queue_is_closed_in_time)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 32), wrong = host;
	struct ini_controller *bystander = fixture_connect(2, 1, 16);
	struct wire_sqe identify = { .opcode = nvme_admin_identify, .cdw10 = NVME_IDENTIFY_CNS_CTRL };
	static uint8_t page[NVME_IDENTIFY_DATA_SIZE];
	uint64_t start_ns = ini_now_ns();
	struct ini_queue *queue;
	struct wire_ic icreq;
	int took_ms;
	uint16_t got;

	queue = _i < 2 ? ini_open_bare(&host.options, 0, 32, INI_WAIT_MS) :
			 ini_open(&host.options, 0, 32, INI_WAIT_MS);
	ini_make_icreq(&icreq, false, false);
	if (_i == 1)
		ini_raw(queue, &icreq, sizeof(icreq) / 2);
	wrong.nqn = "nqn.2014-08.org.example:somebody-else";
	if (_i == 3)
		ck_assert_int_gt(ini_connect(queue, &wrong, INI_ANY_CONTROLLER, &got), 0);
	while (_i == 4 && ini_wait(queue, &identify, page, sizeof(page), false, 0, NULL, 3000) > 0)
		ck_assert_int_lt((int)((ini_now_ns() - start_ns) / 1000000u), 5000);
	ck_assert(fixture_wait_end(queue, 5000));
	took_ms = (int)((ini_now_ns() - start_ns) / 1000000u);
	ck_assert_msg(queue->closed_by_target, "%s", queue->reason);
	ck_assert_int_ge(took_ms, HANDSHAKE_MS - 50);
	ini_close(queue, false);
	fixture_serves(bystander);
	ini_controller_close(bystander, false);
}
END_TEST

static void start_crowded(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M",
						 "--max-connections", "16", NULL };

	start(arguments);
}

START_TEST(silent_connections_give_their_places_to_hosts)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 16);
	struct ini_queue *silent[16], *late;
	struct ini_controller *first, *second;

	for (int i = 0; i < 16; i++)
		silent[i] = ini_open(&host.options, 0, 16, INI_WAIT_MS);
	first = fixture_connect(1, 7, 16);
	second = fixture_connect(2, 7, 16);
	for (int i = 0; i < 16; i++)
		ck_assert(fixture_wait_end(silent[i], INI_WAIT_MS));
	/* those that are somebody give theirs to nobody */
	late = ini_open(&host.options, 0, 16, INI_WAIT_MS);
	ck_assert(late->ended);
	ini_close(late, false);
	fixture_serves(first);
	fixture_serves(second);
	for (int i = 0; i < 16; i++)
		ini_close(silent[i], false);
	ini_controller_close(first, false);
	ini_controller_close(second, false);
}
END_TEST

static void start_crowded_threads(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M",
						 "--max-connections", "16", "--threads", "2", NULL };

	start(arguments);
}

/* One thread has all that are silent, the other one those that are not. */
START_TEST(silent_connections_of_another_thread_do_so_too)
{
	struct ini_host host = target_host(&fixture_target, 1, 0, 16);
	struct ini_controller *somebody[16];
	struct ini_queue *silent[8], *late;

	for (unsigned i = 0; i < 8; i++) {
		silent[i] = ini_open(&host.options, 0, 16, INI_WAIT_MS);
		somebody[i] = fixture_connect(i + 1, 0, 16);
	}
	for (unsigned i = 8; i < 16; i++)
		somebody[i] = fixture_connect(i + 1, 0, 16);
	for (unsigned i = 0; i < 8; i++)
		ck_assert(fixture_wait_end(silent[i], INI_WAIT_MS));
	for (unsigned i = 0; i < 2; i++) { /* of each thread */
		late = ini_open(&host.options, 0, 16, INI_WAIT_MS);
		ck_assert(late->ended);
		ini_close(late, false);
	}
	for (unsigned i = 0; i < 8; i++)
		ini_close(silent[i], false);
	for (unsigned i = 0; i < 16; i++) {
		ck_assert_int_eq(ini_keep_alive(somebody[i]), 0);
		ini_controller_close(somebody[i], false);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme limits");
	TCase *cap = tcase_create("cap"), *work = tcase_create("deallocation");
	TCase *hosts = tcase_create("controllers"), *impatient = tcase_create("handshake");
	TCase *crowd = tcase_create("connections"), *spread = tcase_create("threads");

	target_need();
	tcase_add_checked_fixture(cap, start_with_file, stop_with_file);
	tcase_set_timeout(cap, 60);
	tcase_add_test(cap, cap_bounds_what_is_read_for_a_host_that_does_not_read);
	suite_add_tcase(suite, cap);
	tcase_add_checked_fixture(work, start_huge, fixture_stop);
	tcase_set_timeout(work, 120);
	tcase_add_test(work, deallocation_beyond_the_reported_limits_is_refused);
	tcase_add_test(work, long_deallocation_leaves_the_turn_to_others);
	tcase_add_test(work, long_deallocations_starve_nobody);
	suite_add_tcase(suite, work);
	tcase_add_checked_fixture(hosts, start_small, fixture_stop);
	tcase_add_test(hosts, one_host_gets_so_many_controllers_and_no_more);
	suite_add_tcase(suite, hosts);
	tcase_add_checked_fixture(impatient, start_impatient, fixture_stop);
	tcase_set_timeout(impatient, 60);
	tcase_add_loop_test(impatient, connection_that_connects_no_queue_is_closed_in_time, 0, 5);
	suite_add_tcase(suite, impatient);
	tcase_add_checked_fixture(crowd, start_crowded, fixture_stop);
	tcase_set_timeout(crowd, 60);
	tcase_add_test(crowd, silent_connections_give_their_places_to_hosts);
	suite_add_tcase(suite, crowd);
	tcase_add_checked_fixture(spread, start_crowded_threads, fixture_stop);
	tcase_set_timeout(spread, 60);
	tcase_add_test(spread, silent_connections_of_another_thread_do_so_too);
	suite_add_tcase(suite, spread);
	return fixture_run(suite);
}
