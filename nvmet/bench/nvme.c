/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * nvme.c - how many reads or writes a second does an NVMe/TCP target serve?
 *
 *   nvme --target ADDRESS:PORT --nqn NQN [--op read|write|mixed] [--bs BYTES]
 *        [--qd N] [--queues N] [--secs S] [--nsid N] [--sequential] [--hdgst] [--ddgst]
 *        [--as-it-is]
 *
 * One thread with the tests' own initiator keeps every queue full and prints one
 * line of key=value pairs; mixed is 70 % reads. Blocks are chosen at random in the
 * first 256 MiB of the namespace, which are written first unless --as-it-is: a block
 * that was never written costs a target less to read. The same program measures any
 * target, so figures can be compared.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/controller.h"
#include "../../bench/congestion.h"
#include "../../bench/histogram.h"

#define WARM_UP_NS 500000000u
#define REGION (256ull << 20)
#define FILL_BYTES 131072u

struct bench {
	struct ini_host host;
	const char *op;
	unsigned reads; /* of ten commands */
	uint32_t bs, nsid, blocks; /* blocks of one command */
	uint16_t qd;
	double secs;
	bool sequential, as_it_is;

	struct ini_controller *controller;
	uint64_t slots, next, random;
	uint8_t *data; /* one buffer for each command */
	bool stopping, measuring;
	uint64_t errors;
	uint64_t commands; /* ever, also those that are not measured */
	struct histogram took;
};

static void finished(struct ini_queue *queue, struct ini_command *command, void *arg);

static void submit(struct bench *bench, struct ini_queue *queue, uint8_t *data)
{
	uint64_t slot = bench->next % bench->slots;
	bool read = bench->next++ % 10 < bench->reads;
	struct wire_sqe sqe;

	if (!bench->sequential) {
		bench->random ^= bench->random << 13;
		bench->random ^= bench->random >> 7;
		bench->random ^= bench->random << 17;
		slot = bench->random % bench->slots;
	}
	sqe = ini_block_sqe(read ? nvme_cmd_read : nvme_cmd_write, bench->nsid,
			    slot * bench->blocks, bench->blocks);
	ini_submit(queue, &sqe, data, bench->bs, !read, bench->controller->in_capsule, finished,
		   bench);
}

static void finished(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct bench *bench = arg;

	bench->commands++;
	if (ini_status(&command->cqe))
		bench->errors++;
	if (bench->measuring)
		histogram_add(&bench->took, ini_now_ns() - command->start_ns);
	if (!bench->stopping)
		submit(bench, queue, command->data);
}

static bool poll_until(struct bench *bench, uint64_t deadline)
{
	while (ini_now_ns() < deadline) {
		ini_controller_poll(bench->controller, 10);
		for (int i = 0; i < bench->controller->count; i++) {
			const struct ini_queue *queue = bench->controller->queues[i];

			if (queue->ended) {
				fprintf(stderr, "nvme: queue %u: %s\n", queue->id, queue->reason);
				return false;
			}
		}
	}
	return true;
}

/* Writes the region once, so that there is something to read. */
static bool fill(struct bench *bench, uint32_t block_size)
{
	uint32_t len = FILL_BYTES, most = bench->controller->max_transfer;
	uint64_t end = bench->slots * bench->blocks;
	uint8_t *data;
	bool right = true;

	if (len > most)
		len = most;
	data = malloc(len);
	for (uint32_t i = 0; data && i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 509);
	for (uint64_t lba = 0; right && lba < end; lba += len / block_size) {
		if (len / block_size > end - lba)
			len = (uint32_t)(end - lba) * block_size;
		right = data && !ini_transfer(bench->controller, 1, nvme_cmd_write, bench->nsid, lba,
					      len / block_size, data, len);
	}
	free(data);
	if (!right)
		fprintf(stderr, "nvme: filling: %s\n", bench->controller->queues[1]->reason);
	return right;
}

static bool measure(struct bench *bench)
{
	uint64_t start, ns;

	for (uint32_t i = 0; i < (uint32_t)bench->qd * (uint32_t)bench->host.io_queues; i++)
		submit(bench, bench->controller->queues[1 + i / bench->qd],
		       bench->data + (size_t)i * bench->bs);
	if (!poll_until(bench, ini_now_ns() + WARM_UP_NS))
		return false;
	bench->measuring = true;
	start = ini_now_ns();
	if (!poll_until(bench, start + (uint64_t)(bench->secs * 1e9)))
		return false;
	ns = ini_now_ns() - start;
	bench->measuring = false;
	bench->stopping = true;
	while (ini_in_flight(bench->controller) && ini_controller_poll(bench->controller, 1000))
		;
	printf("bench=nvme op=%s bs=%u qd=%u queues=%d secs=%.1f iops=%.0f mbps=%.1f "
	       "p50_us=%.0f p99_us=%.0f p999_us=%.0f max_us=%.0f commands=%" PRIu64 " errors=%" PRIu64
	       "\n",
	       bench->op, bench->bs, bench->qd, bench->host.io_queues, (double)ns / 1e9,
	       (double)bench->took.count * 1e9 / (double)ns,
	       (double)bench->took.count * bench->bs * 1e3 / (double)ns,
	       histogram_percentile(&bench->took, 0.5), histogram_percentile(&bench->took, 0.99),
	       histogram_percentile(&bench->took, 0.999),
	       (double)bench->took.slowest_ns / 1000, bench->commands, bench->errors);
	return !bench->errors;
}

static bool set_up(struct bench *bench)
{
	struct ini_namespace ns;
	uint64_t bytes;

	bench->host.depth = (uint16_t)(bench->qd + 1);
	bench->controller = ini_controller_open(&bench->host);
	if (bench->controller->failed) {
		fprintf(stderr, "nvme: %s\n", bench->controller->reason);
		return false;
	}
	if (!ini_namespace(bench->controller, bench->nsid, &ns) || !ns.blocks) {
		fprintf(stderr, "nvme: no namespace %u\n", bench->nsid);
		return false;
	}
	if (bench->bs % ns.block_size || bench->bs > bench->controller->max_transfer) {
		fprintf(stderr, "nvme: blocks of %u bytes, transfers of at most %u\n", ns.block_size,
			bench->controller->max_transfer);
		return false;
	}
	bytes = ns.blocks * ns.block_size;
	bench->blocks = bench->bs / ns.block_size;
	bench->slots = (bytes < REGION ? bytes : REGION) / bench->bs;
	bench->data = calloc((size_t)bench->qd * (size_t)bench->host.io_queues, bench->bs);
	return bench->slots && bench->data && (bench->as_it_is || fill(bench, ns.block_size));
}

static const struct option long_options[] = {
	{ "target", required_argument, NULL, 't' }, { "nqn", required_argument, NULL, 'n' },
	{ "op", required_argument, NULL, 'o' },	    { "bs", required_argument, NULL, 'b' },
	{ "qd", required_argument, NULL, 'q' },	    { "queues", required_argument, NULL, 'Q' },
	{ "secs", required_argument, NULL, 's' },   { "nsid", required_argument, NULL, 'i' },
	{ "sequential", no_argument, NULL, 'S' },   { "hdgst", no_argument, NULL, 'g' },
	{ "ddgst", no_argument, NULL, 'G' },	    { "as-it-is", no_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 },
};

static bool set_option(struct bench *bench, int option, const char *value)
{
	switch (option) {
	case 't':
		return ini_parse_address(value, &bench->host.options.address);
	case 'n':
		bench->host.nqn = value;
		return true;
	case 'o':
		bench->op = value;
		bench->reads = !strcmp(value, "read") ? 10 : !strcmp(value, "mixed") ? 7 : 0;
		return bench->reads || !strcmp(value, "write");
	case 'b':
		bench->bs = (uint32_t)strtoul(value, NULL, 0);
		return bench->bs > 0;
	case 'q':
		bench->qd = (uint16_t)atoi(value);
		return bench->qd > 0 && bench->qd < INI_MAX_DEPTH;
	case 'Q':
		bench->host.io_queues = atoi(value);
		return bench->host.io_queues > 0 && bench->host.io_queues <= INI_MAX_QUEUES;
	case 's':
		bench->secs = atof(value);
		return bench->secs > 0;
	case 'i':
		bench->nsid = (uint32_t)atoi(value);
		return bench->nsid > 0;
	case 'S':
		return bench->sequential = true;
	case 'a':
		return bench->as_it_is = true;
	case 'g':
		return bench->host.options.hdgst = true;
	case 'G':
		return bench->host.options.ddgst = true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static struct bench bench = { .host = { .io_queues = 1, .options.congestion = CONGESTION },
				      .op = "read",
				      .reads = 10,
				      .bs = 4096,
				      .nsid = 1,
				      .qd = 32,
				      .secs = 5,
				      .random = 88172645463325252ull };
	int option;
	bool right;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!set_option(&bench, option, optarg))
			break;
	if (option != -1 || !bench.host.nqn || !bench.host.options.address.ss_family) {
		fprintf(stderr, "usage: %s --target ADDRESS:PORT --nqn NQN [--op read|write|mixed] "
				"[--bs BYTES] [--qd N] [--queues N] [--secs S] [--nsid N] [--sequential] [--hdgst] "
				"[--ddgst] [--as-it-is]\n",
			argv[0]);
		return 2;
	}
	right = set_up(&bench) && measure(&bench);
	if (right && !ini_controller_shutdown(bench.controller)) {
		fprintf(stderr, "nvme: the shutdown was not confirmed\n");
		return 1;
	}
	if (!right)
		ini_controller_close(bench.controller, false);
	free(bench.data);
	return !right;
}
