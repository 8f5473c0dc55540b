/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_sockmap.c - a socket in a BPF sockmap, with and without a program that judges sends
 *
 * In a map alone nothing changes. With a message verdict the kernel copies what is sent and
 * sends it on page by page, each with an id: so ids are not one for each call, and a stream
 * on such a socket must not send by reference. Nothing tells from outside that it is one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "real/raw.h"
#include "real/real.h"

#define BYTES 90000
#define SENDS 10

static int near, far;
static char memory[BYTES], sink[1 << 20];
static struct raw_log seen;
static unsigned released;

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4,
			       .max_entries = 1};

	return bpf(BPF_MAP_CREATE, &attr);
}

/* A program that lets every send pass: or -1. */
static int load_verdict(void)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = SK_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SK_MSG, .insn_cnt = 2,
			       .expected_attach_type = BPF_SK_MSG_VERDICT};

	attr.insns = (uintptr_t)pass;
	attr.license = (uintptr_t)"BSD";
	return bpf(BPF_PROG_LOAD, &attr);
}

static const char *missing(void)
{
	int map = make_map(), verdict = load_verdict();
	bool there = map >= 0 && verdict >= 0;

	close(map);
	close(verdict);
	return there ? NULL : "no BPF sockmap, or no right to it";
}

/* Connected over loopback; near is in a map. */
static void join(bool judged)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), map = make_map(), key = 0;
	union bpf_attr attach = {.target_fd = (uint32_t)map, .attach_type = BPF_SK_MSG_VERDICT};
	union bpf_attr add = {.map_fd = (uint32_t)map};

	ck_ok(bind(listener, (struct sockaddr *)&address, len));
	ck_ok(listen(listener, 1));
	ck_ok(getsockname(listener, (struct sockaddr *)&address, &len));
	near = socket(AF_INET, SOCK_STREAM, 0);
	ck_ok(connect(near, (struct sockaddr *)&address, len));
	far = accept(listener, NULL, NULL);
	if (judged) {
		attach.attach_bpf_fd = (uint32_t)load_verdict();
		ck_ok(bpf(BPF_PROG_ATTACH, &attach));
	}
	add.key = (uintptr_t)&key;
	add.value = (uintptr_t)&near;
	ck_ok(bpf(BPF_MAP_UPDATE_ELEM, &add));
}

START_TEST(a_send_takes_one_id_and_with_a_verdict_several)
{
	join(_i);
	raw_enable(near);
	ck_assert_int_eq((int)raw_send(near, memory, BYTES), BYTES);
	ck_assert_int_eq((int)recv(far, sink, BYTES, MSG_WAITALL), BYTES);
	if (_i && real_linux_before(5, 11)) { /* it copies in silence */
		ck_assert(!raw_await(near, &seen, 1, 1000));
		ck_assert_uint_eq(seen.ids, 0);
		return;
	}
	ck_assert(raw_await(near, &seen, _i ? 2 : 1, 5000));
	if (!_i)
		ck_assert(raw_complete(&seen, 1));
}
END_TEST

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
	released++;
}

/* Sends, and reads at the other end until all is there. */
static void send_all(struct zcreq_context *context, struct zcreq_conn *conn)
{
	static const struct zcreq_request_hooks hooks = {.released = on_released};
	const struct iovec iov = {.iov_base = memory, .iov_len = BYTES};
	size_t got = 0;

	for (unsigned i = 0; i < SENDS; i++)
		ck_ok(zcreq_send(conn, &hooks, NULL, &iov, 1, 0, NULL));
	while (got < (size_t)BYTES * SENDS) {
		ssize_t ret;

		zcreq_turn(context, zcreq_now_ns());
		ret = recv(far, sink, sizeof(sink), MSG_DONTWAIT);
		got += ret > 0 ? (size_t)ret : 0;
		ck_assert(ret > 0 || errno == EAGAIN);
		poll(NULL, 0, 1);
		ck_ok(zcreq_process(conn, POLLERR | POLLOUT));
	}
}

/* By reference: nothing is believed that does not fit, so no memory comes back early, and
 * some not at all. By copy all is well. */
START_TEST(with_a_verdict_only_copies_come_back)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .mode = _i ? ZCREQ_MODE_NEVER : ZCREQ_MODE_ALWAYS,
	};
	/* what never comes back keeps them, to the end of the process */
	static struct zcreq_context *context;
	static struct zcreq_conn *conn;
	struct zcreq_stats stats;

	join(true);
	options.fd = near;
	ck_ok(zcreq_context_new(NULL, &context));
	ck_ok(zcreq_stream_open(context, &options, &conn));
	send_all(context, conn);
	zcreq_turn(context, zcreq_now_ns());
	ck_ok(zcreq_conn_stats(conn, &stats, sizeof(stats)));
	if (_i) {
		ck_assert_uint_eq(released, SENDS);
		ck_assert_uint_eq(stats.bogus_ranges, 0);
	} else {
		ck_assert_uint_lt(released, SENDS);
		if (real_linux_before(5, 11)) {
			ck_assert_uint_eq(released, 0);
			ck_assert_uint_eq(stats.bogus_ranges, 0);
		} else {
			ck_assert_uint_gt(stats.bogus_ranges, 0);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sockmap");
	TCase *sockmap = real_group(s, "sockmap", NULL, NULL, NULL);

	tcase_add_loop_test(sockmap, a_send_takes_one_id_and_with_a_verdict_several, 0, 2);
	tcase_add_loop_test(sockmap, with_a_verdict_only_copies_come_back, 0, 2);
	return real_run(s, missing());
}
