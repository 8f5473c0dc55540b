/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_frozen.c - hosts that post reads and do not read the answers
 *
 * Frozen: it posts reads, does nothing for some seconds, and comes back. Meanwhile
 * another host writes and reads the same blocks and those of another namespace at
 * full depth. Every byte that the first one then finds has to be of the block that
 * it asked for, of a version that was there between then and now, in PDUs that are
 * whole; or its connections have ended in order. With the link up (the window
 * closes), cut for less than the stall limit, and cut for longer.
 *
 * Never reading: it goes on sending keep-alives but never reads what it asked for,
 * and must not slow anybody else.
 *
 * ZCREQ_TEST_FREEZE_S=N: seconds of not reading (default 3; 20 for a long look).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "support/witness.h"

#define BYTES 131072u
#define REGION (32u << 20)
#define SLOWEST_MS 100

static struct ini_controller *connect_from(int number, int io_queues, uint32_t keep_alive_ms,
					   bool digests)
{
	struct ini_host host = target_host(&fixture_target, (unsigned)number, io_queues, 128);

	host.keep_alive_ms = keep_alive_ms;
	host.options.hdgst = host.options.ddgst = digests;
	return fixture_connect_from(number, host);
}

/* The reads of the host that does not read them. */
struct posted {
	struct posts *posts;
	uint64_t lba;
	uint8_t *data;
	uint32_t *oldest;
};

struct posts {
	struct ini_controller *controller;
	struct stamps *stamps;
	uint32_t count, done, errors;
	uint64_t bytes, wrong, foreign;
	struct posted *all;
};

static void judge(struct posted *posted, uint32_t len)
{
	struct posts *posts = posted->posts;

	posts->bytes += len;
	posts->wrong += stamps_wrong(posts->stamps, posted->lba, len, posted->data, posted->oldest,
				     &posts->foreign);
}

static void answered(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct posted *posted = arg;

	(void)queue;
	posted->posts->done++;
	if (ini_status(&command->cqe))
		posted->posts->errors++;
	else
		judge(posted, BYTES);
}

static void post(struct posts *posts, struct ini_controller *controller, struct stamps *stamps,
		 uint32_t per_queue)
{
	uint32_t queues = (uint32_t)controller->count - 1, blocks = BYTES / stamps->block_size;

	*posts = (struct posts){ .controller = controller, .stamps = stamps, .count = queues * per_queue };
	posts->all = calloc(posts->count, sizeof(*posts->all));
	for (uint32_t i = 0; i < posts->count; i++) {
		struct posted *posted = &posts->all[i];
		struct wire_sqe sqe;

		posted->posts = posts;
		posted->lba = i * 37 % (stamps->blocks / blocks) * blocks;
		posted->data = malloc(BYTES);
		posted->oldest = calloc(blocks, sizeof(*posted->oldest));
		stamps_posted(stamps, posted->lba, blocks, posted->oldest);
		sqe = ini_block_sqe(nvme_cmd_read, stamps->nsid, posted->lba, blocks);
		ck_assert(ini_submit(controller->queues[1 + i % queues], &sqe, posted->data, BYTES, false,
				     0, answered, posted));
	}
	for (int i = 1; i < controller->count; i++)
		ini_flush(controller->queues[i]);
}

/* A host whose connections went away while it was gone hears so when it sends. */
static void send_something(struct ini_controller *controller)
{
	struct wire_sqe flush = { .opcode = nvme_cmd_flush, .nsid = 1 };

	for (int i = 1; i < controller->count; i++)
		ini_submit(controller->queues[i], &flush, NULL, 0, false, 0, NULL, NULL);
}

/* The host comes back and reads all that is there, while @load goes on. */
static void read_all(struct posts *posts, struct load *load)
{
	uint64_t end = ini_now_ns() + INI_WAIT_MS * 1000000ull;
	struct ini_controller *controller = posts->controller;

	while (ini_in_flight(controller) && ini_now_ns() < end) {
		ini_poll(controller->queues + 1, controller->count - 1, 1);
		if (load)
			load_run(load, NULL, 1);
	}
	for (int i = 1; i < controller->count; i++) {
		struct ini_queue *queue = controller->queues[i];

		ck_assert_msg(queue->ended || !queue->in_flight, "queue %d: %u reads are not answered", i,
			      queue->in_flight);
		ck_assert_msg(!queue->ended || queue->closed_by_target, "queue %d: %s", i, queue->reason);
		for (uint32_t k = 0; k < queue->depth; k++)
			if (queue->commands[k].busy && queue->commands[k].arg)
				judge(queue->commands[k].arg, ini_received(queue, &queue->commands[k]));
	}
}

static void say(const struct posts *posts, const char *what)
{
	int ended = 0;

	for (int i = 1; i < posts->controller->count; i++)
		ended += posts->controller->queues[i]->ended;
	printf("%s: %u of %u reads answered, %d of %d queues ended, %.1f MB looked at, %" PRIu64
	       " wrong bytes, %" PRIu64 " foreign\n",
	       what, posts->done, posts->count, ended, posts->controller->count - 1,
	       (double)posts->bytes / 1e6, posts->wrong, posts->foreign);
	ck_assert_int_eq(posts->errors, 0);
	ck_assert_uint_eq(posts->wrong, 0);
	ck_assert_uint_eq(posts->foreign, 0);
}

static void free_posts(struct posts *posts)
{
	for (uint32_t i = 0; i < posts->count; i++) {
		free(posts->all[i].data);
		free(posts->all[i].oldest);
	}
	free(posts->all);
}

static const struct freeze {
	const char *name;
	bool cut;
	int ms;         /**< 0: ZCREQ_TEST_FREEZE_S */
	bool may_end;   /**< the queues; else every read has to be answered */
} freezes[] = {
	{ "frozen, window closed", false, 0, false },
	{ "frozen, link cut for less than the stall limit", true, STALL_MS / 3, false },
	{ "frozen, link cut for longer", true, 0, true },
};

/* Half the freezes with digests: a torn block would be a wrong digest as well. */
#define FREEZES ((int)(sizeof(freezes) / sizeof(freezes[0])) * 2)

START_TEST(frozen_host_finds_only_what_it_asked_for)
{
	const struct freeze *freeze = &freezes[_i / 2];
	struct ini_controller *other = connect_from(1, 4, 0, false), *another = connect_from(1, 2, 0, false);
	struct ini_controller *frozen = connect_from(0, 8, 0, _i % 2);
	int ms = freeze->ms ? freeze->ms : fixture_number("ZCREQ_TEST_FREEZE_S", 3) * 1000;
	struct stamps same, foreign;
	struct load writer, neighbour;
	struct posts posts;
	bool may_end = freeze->may_end;
	uint64_t cut_ns, now_ns;

	fixture_stamps(&same, other, 1, REGION);
	fixture_stamps(&foreign, another, 2, REGION);
	load_start(&writer, other, &same, LOAD_MIXED, 2, 127);
	load_start(&neighbour, another, &foreign, LOAD_WRITE, 4, 64);
	post(&posts, frozen, &same, 127);
	cut_ns = ini_now_ns();
	if (freeze->cut)
		hosts_link(&fixture_hosts, 0, false);
	now_ns = ini_now_ns();
	if (cut_ns + ms * 1000000ull > now_ns)
		load_run(&writer, &neighbour, (int)((cut_ns + ms * 1000000ull - now_ns) / 1000000));
	if (freeze->cut) {
		hosts_link(&fixture_hosts, 0, true);
		send_something(frozen);
		if (ini_now_ns() - cut_ns > (STALL_MS - 200) * 1000000ull && !may_end) {
			printf("this machine took %d ms for a cut of %d\n",
			       (int)((ini_now_ns() - cut_ns) / 1000000), ms);
			may_end = true;
		}
	}
	read_all(&posts, &writer);
	ck_assert(load_stop(&writer, "the writer of the same blocks"));
	ck_assert(load_stop(&neighbour, "the writer of another namespace"));
	say(&posts, freeze->name);
	if (!may_end)
		ck_assert_int_eq(posts.done, posts.count);
	free_posts(&posts);
	stamps_deinit(&same);
	stamps_deinit(&foreign);
	ini_controller_close(frozen, false);
	ini_controller_close(other, false);
	ini_controller_close(another, false);
}
END_TEST

START_TEST(never_reading_host_slows_nobody)
{
	struct ini_controller *other = connect_from(1, 1, 0, false);
	struct ini_controller *greedy = connect_from(0, 9, INI_WAIT_MS, false);
	int seconds = fixture_number("ZCREQ_TEST_FREEZE_S", 3);
	int own_ms, stopped_ms, limit_ms;
	long before, during;
	struct stamps blocks;
	struct posts posts;
	struct load load;

	fixture_stamps(&blocks, other, 1, REGION);
	before = target_resident_kb(&fixture_target);
	witness_start();
	witness_watch(fixture_target.pid);
	load_start(&load, other, &blocks, LOAD_READ, 1, _i ? 32 : 1);
	post(&posts, greedy, &blocks, 127);
	for (int i = 0; i < seconds * 2; i++) {
		load_run(&load, NULL, 500);
		ck_assert_int_eq(ini_keep_alive(greedy), 0);
	}
	during = target_resident_kb(&fixture_target);
	printf("never reading, 9 queues of 127 reads of 128 KiB for %d s: the other host read at depth %d, "
	       "%.0f IOPS, slowest %.1f ms, %.1f ms without waiting for a processor; the target "
	       "grew by %ld KiB\n",
	       seconds, _i ? 32 : 1, (double)load.done / seconds, (double)load.slowest_ns / 1e6,
	       (double)load.slowest_own_ns / 1e6, during - before);
	own_ms = (int)(load.slowest_own_ns / 1000000u);
	stopped_ms = (int)(witness_stopped_ns() / 1000000u);
	/* a sanitized target takes some times as long for all that it does */
	limit_ms = SLOWEST_MS * (target_sanitized(&fixture_target) ? 4 : 1);
	ck_assert_msg(own_ms < limit_ms + stopped_ms,
		      "slowest %d ms without waiting for a processor; the machine was away for %d",
		      own_ms, stopped_ms);
	ck_assert(load_stop(&load, "the other host"));
	read_all(&posts, NULL);
	say(&posts, "never reading, then reading");
	free_posts(&posts);
	stamps_deinit(&blocks);
	ini_controller_close(greedy, false);
	ck_assert(ini_controller_shutdown(other));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme frozen hosts");
	TCase *tcase = tcase_create("frozen");

	target_need();
	fixture_need_hosts();
	tcase_add_checked_fixture(tcase, fixture_start_hosts, fixture_stop_hosts);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, frozen_host_finds_only_what_it_asked_for, 0, FREEZES);
	tcase_add_loop_test(tcase, never_reading_host_slows_nobody, 0, 2);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
