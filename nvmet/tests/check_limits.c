/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_limits.c - what one host may cost the others is bounded
 *
 * Memory of answers that a host does not read, with a namespace in a file, where an answer
 * is memory that was not there before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

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
	printf("%d queues, %d reads of 1 MiB each, none of them read, --cap 4K: %ld blocks, %.1f MiB a queue\n",
	       CAP_QUEUES, CAP_READS, stats.blocks_used, (double)stats.blocks_used * BLOCK / MIB / CAP_QUEUES);
	ck_assert_int_le(stats.blocks_used, CAP_QUEUES * 2 * (long)(MIB / BLOCK));
	while (done < CAP_QUEUES * CAP_READS)
		ck_assert(ini_poll(greedy->queues + 1, CAP_QUEUES, INI_WAIT_MS));
	free(data);
	ini_controller_close(other, false);
	ck_assert(ini_controller_shutdown(greedy));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme limits");
	TCase *cap = tcase_create("cap");

	target_need();
	tcase_add_checked_fixture(cap, start_with_file, stop_with_file);
	tcase_set_timeout(cap, 60);
	tcase_add_test(cap, cap_bounds_what_is_read_for_a_host_that_does_not_read);
	suite_add_tcase(suite, cap);
	return fixture_run(suite);
}
