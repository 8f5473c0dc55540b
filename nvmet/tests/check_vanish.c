/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_vanish.c - a host that is there and then is not
 *
 * With 1,000 reads in flight over 8 queues the link is cut, so that nothing comes
 * any more: no FIN, no RST. The target has to release every request once, free the
 * queues and the controller within the stall limit and 50 ms, and be as small as
 * before; a second host is served all the time. One host alone is found as soon, though
 * nothing else wakes the target. And a host that vanishes at every stage of a
 * connection's life, by the cut, by a FIN or by an RST, leaves nothing.
 *
 * ZCREQ_TEST_REPEATS=N: how many times the host vanishes (default 5; 100 to look
 * for leaks).
 */
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"
#include "support/witness.h"

#define QUEUES 8
#define READS 1000
#define BYTES 131072u
#define RECEIVE_BUFFER 262144
#define MARGIN_MS 50
#define DOUBTED_MS 100 /* so late is a look that is repeated, after as long */
#define GROWTH_KB 1024

/* A controller of host @number, over that host's link. */
static struct ini_controller *connect_from(int number, int io_queues, uint16_t depth)
{
	return fixture_connect_from(number, target_host(&fixture_target, (unsigned)number, io_queues, depth));
}

static void watch_machine(void)
{
	witness_start();
	witness_watch(fixture_target.pid);
}

/* What the target's log says of the end of @controller and its @io_queues since @from. */
static int judge_end(off_t from, uint16_t controller, int io_queues, uint64_t cut_ns)
{
	char key[32], line[512];
	int took_ms, lost_ms;

	snprintf(key, sizeof(key), "ctrl=%u", controller);
	if (!target_log_find(&fixture_target, from, "controller-gone", key, INI_WAIT_MS, line)) {
		target_log_show(&fixture_target);
		ck_abort_msg("the controller was not freed");
	}
	took_ms = (int)((ini_now_ns() - cut_ns) / 1000000u);
	ck_assert_int_eq(target_log_count(&fixture_target, from, "abort", key), io_queues + 1);
	lost_ms = witness_lost_ms();
	/* a look that comes so late is repeated (lib/stream/watchdog.c) */
	if (lost_ms >= DOUBTED_MS)
		lost_ms += DOUBTED_MS;
	ck_assert_msg(took_ms <= STALL_MS + MARGIN_MS + lost_ms,
		      "freed %d ms after the cut; this machine excuses %d", took_ms, lost_ms);
	return took_ms;
}

/*
 * One host vanishes while it reads; returns the milliseconds until all was free. Its sockets take
 * little, else its kernel may have acknowledged all before a program on a busy machine has cut the
 * link.
 */
static int vanish_once(struct load *others, struct stamps *stamps, long *in_flight)
{
	struct ini_host host = target_host(&fixture_target, 0, QUEUES, 128);
	struct ini_controller *controller;
	struct target_stats stats;
	struct load reader;
	char key[32];
	uint64_t cutting, cut; /* the program that cuts may end long after it has cut */
	uint64_t waited_ns = witness_waited_ns();
	off_t from;
	int took;

	host.options.receive_buffer = RECEIVE_BUFFER;
	controller = fixture_connect_from(0, host);
	from = target_log_end(&fixture_target);
	load_start(&reader, controller, stamps, LOAD_READ, BYTES / stamps->block_size, READS / QUEUES);
	for (int i = 0; i < INI_WAIT_MS / 20 && reader.done < READS; i++)
		load_run(others, &reader, 20);
	ck_assert_int_eq(ini_in_flight(controller), READS);
	ck_assert(reader.done >= READS && !reader.errors && !reader.wrong);
	cutting = ini_now_ns();
	hosts_link(&fixture_hosts, 0, false);
	cut = ini_now_ns();
	witness_lost_ms();
	load_run(others, NULL, STALL_MS / 2);
	ck_assert(target_stats(&fixture_target, &stats));
	/* a host that had to wait for a processor was silent before it was cut off */
	if (ini_now_ns() - cutting + (witness_waited_ns() - waited_ns) <
	    (STALL_MS - 100) * 1000000ull)
		ck_assert_int_eq(stats.controllers, 2);
	snprintf(key, sizeof(key), "ctrl=%u", controller->id);
	if (!target_log_count(&fixture_target, from, "abort", key))
		ck_assert_msg(stats.inflight > 0 && stats.quarantined == 0,
			      "%ld in flight, %ld in quarantine", stats.inflight, stats.quarantined);
	*in_flight = stats.inflight;
	while (ini_now_ns() - cut < (uint64_t)(STALL_MS - 100) * 1000000u)
		load_run(others, NULL, 10);
	took = judge_end(from, controller->id, QUEUES, cut);
	ini_controller_close(controller, false);
	load_discard(&reader);
	hosts_link(&fixture_hosts, 0, true);
	return took;
}

START_TEST(host_vanishes_with_a_thousand_reads_in_flight)
{
	int repeats = fixture_number("ZCREQ_TEST_REPEATS", 5), worst = 0;
	struct ini_controller *bystander = connect_from(1, 1, 32);
	struct stamps large, small;
	struct target_stats stats;
	struct load load;
	long before = 0, after, in_flight = 0;

	watch_machine();
	fixture_stamps(&large, bystander, 1, 32 << 20);
	fixture_stamps(&small, bystander, 2, 4 << 20);
	load_start(&load, bystander, &small, LOAD_MIXED, 1, 8);
	for (int i = 0; i <= repeats; i++) {
		int took = vanish_once(&load, &large, &in_flight);

		worst = took > worst ? took : worst;
		if (i == 0) /* the first warms up what the allocator keeps */
			before = target_resident_kb(&fixture_target);
	}
	ck_assert(load_stop(&load, "the other host"));
	ck_assert(target_settles(&fixture_target, 1, INI_WAIT_MS, &stats));
	after = target_resident_kb(&fixture_target);
	printf("vanished %d times with %d reads in flight, %ld of them taken up by the target: all released "
	       "at most %d ms after the cut (stall limit %d), %ld begun, %ld released, resident %ld KiB then "
	       "%ld KiB\n",
	       repeats + 1, READS, in_flight, worst, STALL_MS, stats.begun, stats.released, before, after);
	ck_assert_int_eq(stats.begun, stats.released);
	ck_assert_int_eq(stats.quarantined, 0);
	ck_assert_int_eq(stats.stale, 0);
	if (!target_sanitized(&fixture_target))
		ck_assert_msg(after - before <= GROWTH_KB, "grew by %ld KiB", after - before);
	stamps_deinit(&large);
	stamps_deinit(&small);
	ck_assert(ini_controller_shutdown(bystander));
}
END_TEST

/* --- alone ------------------------------------------------------------------ */

/* The host's socket takes nothing any more: what the target sends, it does not acknowledge. */
static void deafen(struct ini_queue *queue)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = { .len = 1, .filter = &nothing };

	ck_assert_int_eq(setsockopt(queue->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)), 0);
}

/* How many packets came that were not taken. */
static uint32_t refused(struct ini_queue *queue)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	ck_assert_int_eq(getsockopt(queue->fd, SOL_SOCKET, SO_MEMINFO, info, &len), 0);
	return info[SK_MEMINFO_DROPS];
}

enum alone {
	ALONE_READING,    /* the link is cut under its reads */
	ALONE_SMALL_READ, /* its queue was idle; the answer is small, so it is copied */
	ALONE_KEEP_ALIVE, /* the same on the admin queue */
	ALONES,
};

static void ask(struct ini_queue *queue, enum alone alone, uint32_t block_size)
{
	static uint8_t block[4096];
	struct wire_sqe sqe = { .opcode = nvme_admin_keep_alive };
	uint32_t bytes = alone == ALONE_SMALL_READ ? block_size : 0;

	if (bytes)
		sqe = ini_block_sqe(nvme_cmd_read, 1, 0, 1);
	ck_assert(ini_submit(queue, &sqe, bytes ? block : NULL, bytes, false, 0, NULL, NULL));
	ini_flush(queue);
}

/* The link is cut when an answer has left that will not be taken, so that the target has
 * something in flight for certain, and before this host sends once more. */
static void go_quiet(struct load *reader, enum alone alone)
{
	struct ini_controller *controller = reader->controller;
	struct ini_queue *queue = controller->queues[alone != ALONE_KEEP_ALIVE];
	uint64_t end_ns = ini_now_ns() + INI_WAIT_MS * 1000000ull;
	uint32_t before; /* a host that reads late has refused some for want of room */

	deafen(queue);
	before = refused(queue);
	if (alone != ALONE_READING)
		ask(queue, alone, reader->stamps->block_size);
	while (refused(queue) == before) {
		if (alone == ALONE_READING)
			load_run(reader, NULL, 1);
		ck_assert_msg(ini_now_ns() < end_ns, "there is no answer");
	}
	hosts_link(&fixture_hosts, 0, false);
}

START_TEST(i12_host_alone_with_one_queue_is_found_in_time)
{
	static const char *const names[ALONES] = { "reading", "a small read", "a keep-alive" };
	struct ini_controller *controller = connect_from(0, 1, 32);
	struct target_stats stats;
	struct stamps stamps;
	struct load reader;
	uint64_t start_ns;
	off_t from;

	watch_machine();
	fixture_stamps(&stamps, controller, 1, 8 << 20);
	load_start(&reader, controller, &stamps, LOAD_READ, BYTES / stamps.block_size, 32);
	load_run(&reader, NULL, 300);
	ck_assert(reader.done && !reader.errors && !reader.wrong);
	if (_i != ALONE_READING) {
		ck_assert(load_stop(&reader, "the host"));
		ini_poll(controller->queues, controller->count, 700); /* idle */
	}
	from = target_log_end(&fixture_target);
	witness_lost_ms();
	start_ns = ini_now_ns();
	go_quiet(&reader, (enum alone)_i);
	printf("alone, %s: free %d ms after that\n", names[_i],
	       judge_end(from, controller->id, 1, start_ns));
	ck_assert(target_settles(&fixture_target, 0, INI_WAIT_MS, &stats));
	ck_assert_int_eq(stats.begun, stats.released);
	ck_assert_int_eq(stats.quarantined, 0);
	ini_controller_close(controller, false);
	if (_i == ALONE_READING)
		load_discard(&reader);
	stamps_deinit(&stamps);
}
END_TEST

/* --- at every stage --------------------------------------------------------- */

enum how {
	BY_CUT,
	BY_FIN,
	BY_RST,
	HOWS,
};

enum stage {
	TCP_ONLY,          /* connected, nothing sent */
	HALF_ICREQ,
	ICREQ_ONLY,
	HALF_COMMAND,      /* a part of the Connect capsule */
	ADMIN_CONNECTED,
	ADMIN_ENABLED,
	IO_CONNECTED,
	IO_HALF_COMMAND,
	IO_READING,
	IO_WRITE_NO_DATA,  /* the R2T is not answered */
	IO_HALF_DATA,      /* a part of the H2CData has come */
	STAGES,
};

static const char *const stage_names[STAGES] = {
	"TCP only", "half an ICReq", "after the ICReq", "half a Connect", "admin queue connected",
	"controller enabled", "I/O queue connected", "half a command", "reading",
	"write without its data", "half the data of a write",
};

struct vanishing {
	struct ini_queue *queue;           /* the stages without a controller */
	struct ini_controller *controller;
};

static struct vanishing begin_queue(const struct ini_host *host, enum stage stage)
{
	struct vanishing host_side = { 0 };
	struct nvmf_connect_data data;
	struct wire_command pdu = { .common = { .type = WIRE_COMMAND, .hlen = 72, .pdo = 72,
						.plen = 72 + sizeof(data) } };
	struct wire_ic icreq;
	uint16_t id;

	if (stage == TCP_ONLY || stage == HALF_ICREQ)
		host_side.queue = ini_open_bare(&host->options, 0, 32, INI_WAIT_MS);
	else
		host_side.queue = ini_open(&host->options, 0, 32, INI_WAIT_MS);
	ini_make_icreq(&icreq, false, false);
	ini_make_connect(host, INI_ANY_CONTROLLER, &pdu.sqe, 0, 32, &data);
	if (stage == HALF_ICREQ)
		ini_raw(host_side.queue, &icreq, sizeof(icreq) / 2);
	else if (stage == HALF_COMMAND)
		ini_raw(host_side.queue, &pdu, sizeof(pdu) - 4);
	else if (stage == ADMIN_CONNECTED)
		ck_assert_int_eq(ini_connect(host_side.queue, host, INI_ANY_CONTROLLER, &id), 0);
	ini_flush(host_side.queue);
	return host_side;
}

/* Posted and never looked at again; one buffer for all of them. */
static void post_reads(struct ini_controller *controller, int reads, uint32_t block_size)
{
	static uint8_t buffer[BYTES];
	struct wire_sqe sqe;

	for (int i = 0; i < reads; i++) {
		sqe = ini_block_sqe(nvme_cmd_read, 1, (uint64_t)(i % 256) * (BYTES / block_size),
				    BYTES / block_size);
		ck_assert(ini_submit(controller->queues[1 + i % QUEUES], &sqe, buffer, BYTES, false, 0,
				     NULL, NULL));
	}
	for (int i = 1; i < controller->count; i++)
		ini_flush(controller->queues[i]);
}

static struct vanishing begin(enum stage stage)
{
	struct ini_host host = target_host(&fixture_target, 0, stage >= IO_CONNECTED ? QUEUES : 0, 128);
	struct vanishing host_side = { 0 };
	struct wire_command pdu = { .common = { .type = WIRE_COMMAND, .hlen = 72, .plen = 72 } };
	struct ini_queue *io;
	struct wire_data data;
	uint32_t size;

	host.keep_alive_ms = 2000;
	ini_parse_address(hosts_address(0), &host.options.address);
	if (stage < ADMIN_ENABLED)
		return begin_queue(&host, stage);
	host_side.controller = fixture_connect_host(&host);
	if (stage < IO_HALF_COMMAND)
		return host_side;
	io = host_side.controller->queues[1];
	size = fixture_block_size(host_side.controller);
	pdu.sqe = ini_block_sqe(nvme_cmd_write, 1, 0, BYTES / size);
	if (stage == IO_HALF_COMMAND)
		ini_raw(io, &pdu, 50);
	else if (stage == IO_READING)
		post_reads(host_side.controller, READS, size);
	else
		fixture_post_write(io, BYTES, size, &data);
	if (stage == IO_HALF_DATA) {
		data.common = (struct wire_common){ .type = WIRE_H2C_DATA, .hlen = 24, .pdo = 24,
						    .plen = 24 + 8192 };
		data.len = 8192;
		ini_raw(io, &data, sizeof(data));
		ini_raw(io, &pdu, sizeof(pdu)); /* and no more of its 8192 bytes */
	}
	ini_flush(io);
	return host_side;
}

static void vanish(struct vanishing *host_side, enum how how)
{
	if (how == BY_CUT) {
		hosts_link(&fixture_hosts, 0, false);
		return;
	}
	ini_controller_close(host_side->controller, how == BY_RST);
	ini_close(host_side->queue, how == BY_RST);
	*host_side = (struct vanishing){ 0 };
}

START_TEST(host_vanishes_at_every_stage)
{
	enum stage stage = (enum stage)(_i / HOWS);
	enum how how = (enum how)(_i % HOWS);
	struct ini_controller *bystander = connect_from(1, 1, 32);
	struct vanishing host_side;
	struct target_stats stats;

	hosts_enter(&fixture_hosts, 0);
	host_side = begin(stage);
	hosts_enter(&fixture_hosts, -1);
	vanish(&host_side, how);
	fixture_serves(bystander);
	/* the stall limit, or when nothing is in flight the keep-alive of 2 s */
	ck_assert_msg(target_settles(&fixture_target, 1, INI_WAIT_MS, &stats),
		      "%s: %ld controllers, %ld in flight",
		      stage_names[stage], stats.controllers, stats.inflight);
	ck_assert_int_eq(stats.begun, stats.released);
	ck_assert_int_eq(stats.quarantined, 0);
	ck_assert_int_eq(stats.stale, 0);
	fixture_serves(bystander);
	ini_controller_close(host_side.controller, false);
	ini_close(host_side.queue, false);
	ck_assert(ini_controller_shutdown(bystander));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme vanish");
	TCase *tcase = tcase_create("vanish"), *alone = tcase_create("alone");

	target_need();
	fixture_need_hosts();
	tcase_add_checked_fixture(tcase, fixture_start_hosts, fixture_stop_hosts);
	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, host_vanishes_with_a_thousand_reads_in_flight);
	tcase_add_loop_test(tcase, host_vanishes_at_every_stage, 0, STAGES * HOWS);
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(alone, fixture_start_hosts, fixture_stop_hosts);
	tcase_set_timeout(alone, 600);
	tcase_add_loop_test(alone, i12_host_alone_with_one_queue_is_found_in_time, 0, ALONES);
	suite_add_tcase(suite, alone);
	return fixture_run(suite);
}
