/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fixture.c - starts and ends each test with a target of its own
 *
 * Owns fixture_target and fixture_hosts.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "crc32c.h"
#include "fixture.h"
#include "support/suite.h"

struct target fixture_target;
struct hosts fixture_hosts;

#define COMMON \
	"--namespace", "mem:64M", "--namespace", "mem:64M", "--stall-ms", STALL_TEXT, "--drain-ms", "300", NULL

void fixture_start(void)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", COMMON };

	ck_assert(target_start(&fixture_target, -1, arguments));
}

void fixture_start_hosts(void)
{
	static const char *const arguments[] = { "--listen", HOSTS_LISTEN_0, "--listen", HOSTS_LISTEN_1,
						 COMMON };

	ck_assert_msg(hosts_make(&fixture_hosts), "%s", fixture_hosts.reason);
	ck_assert(target_start(&fixture_target, fixture_hosts.target, arguments));
}

void fixture_stop_hosts(void)
{
	fixture_stop();
	hosts_free(&fixture_hosts);
}

void fixture_need_hosts(void)
{
	struct hosts possible;

	if (!hosts_make(&possible)) {
		printf("skip: %s\n", possible.reason);
		exit(77);
	}
	hosts_free(&possible);
}

void fixture_stop(void)
{
	ck_assert_msg(target_alive(&fixture_target), "the target died");
	ck_assert_int_eq(target_stop(&fixture_target), 0);
}

struct ini_controller *fixture_connect_host(const struct ini_host *host)
{
	struct ini_controller *controller = ini_controller_open(host);

	ck_assert_msg(!controller->failed, "connect: %s", controller->reason);
	return controller;
}

struct ini_controller *fixture_connect_from(int number, struct ini_host host)
{
	struct ini_controller *controller;

	ini_parse_address(hosts_address(number), &host.options.address);
	hosts_enter(&fixture_hosts, number);
	controller = fixture_connect_host(&host);
	hosts_enter(&fixture_hosts, -1);
	return controller;
}

struct ini_controller *fixture_connect(unsigned number, int io_queues, uint16_t depth)
{
	struct ini_host host = target_host(&fixture_target, number, io_queues, depth);

	return fixture_connect_host(&host);
}

bool fixture_wait_end(struct ini_queue *queue, int ms)
{
	uint64_t deadline = ini_now_ns() + (uint64_t)ms * 1000000u;

	while (!queue->ended && ini_now_ns() < deadline)
		ini_poll(&queue, 1, 10);
	return queue->ended;
}

uint32_t fixture_block_size(struct ini_controller *controller)
{
	struct ini_namespace ns;

	ck_assert(ini_namespace(controller, 1, &ns));
	return ns.block_size;
}

void fixture_serves(struct ini_controller *controller)
{
	uint32_t size = fixture_block_size(controller);
	uint8_t *data = malloc(size);

	ck_assert_msg(ini_transfer(controller, 1, nvme_cmd_read, 1, 0, 1, data, size) == 0,
		      "the other host is not served: %s", controller->queues[1]->reason);
	free(data);
}

void fixture_put(struct ini_queue *queue, const void *bytes, size_t len, bool digest)
{
	uint32_t crc = crc32c(0, bytes, len);

	ini_raw(queue, bytes, len);
	if (digest)
		ini_raw(queue, &crc, sizeof(crc));
}

void fixture_put_write(struct ini_queue *queue, uint16_t cid, uint64_t slba, uint32_t blocks,
		       uint32_t bytes)
{
	struct wire_command pdu = { .common = { .type = WIRE_COMMAND, .hlen = 72, .plen = 72 } };

	pdu.sqe = ini_block_sqe(nvme_cmd_write, 1, slba, blocks);
	pdu.sqe.flags = 0x40;
	pdu.sqe.cid = cid;
	pdu.sqe.sgl = (struct wire_sgl){ .len = bytes, .type = WIRE_SGL_TRANSPORT };
	if (queue->hdgst) {
		pdu.common.flags = WIRE_HDGST;
		pdu.common.plen += 4;
	}
	fixture_put(queue, &pdu, sizeof(pdu), queue->hdgst);
}

void fixture_read(struct ini_queue *queue, void *to, size_t len)
{
	struct pollfd poller = { .fd = queue->fd, .events = POLLIN };
	ssize_t n;

	for (size_t got = 0; got < len; got += (size_t)n) {
		ck_assert_int_eq(poll(&poller, 1, INI_WAIT_MS), 1);
		n = recv(queue->fd, (uint8_t *)to + got, len - got, 0);
		ck_assert_int_gt(n, 0);
	}
}

void fixture_post_write(struct ini_queue *queue, uint32_t bytes, uint32_t block_size,
			struct wire_data *r2t)
{
	fixture_put_write(queue, 5, 0, bytes / block_size, bytes);
	ini_flush(queue);
	fixture_read(queue, r2t, sizeof(*r2t));
	ck_assert_int_eq(r2t->common.type, WIRE_R2T);
}

void fixture_stamps(struct stamps *stamps, struct ini_controller *controller, uint32_t nsid,
		    uint64_t bytes)
{
	struct ini_namespace ns;

	ck_assert(ini_namespace(controller, nsid, &ns));
	stamps_init(stamps, nsid, ns.block_size, bytes / ns.block_size);
	ck_assert_msg(load_fill(controller, stamps), "filling namespace %u: %s", nsid,
		      controller->queues[1]->reason);
}

int fixture_number(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? atoi(text) : otherwise;
}

int fixture_run(Suite *suite)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	return suite_run(suite);
}
