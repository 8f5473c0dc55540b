/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ends.c - every way in which a connection ends, on the real kernel
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/raw.h"
#include "real/real.h"

#define ARENA_BYTES (8 << 20)
#define EACH_BYTES 65536
#define REQUESTS 64
#define MANY 100000
#define MANY_BYTES 512
#define MANY_AT_ONCE 1000
#define MANY_TCP_PAGES (1ul << 18)
#define MANY_OPTMEM 131072

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct load load;

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};
static const struct net_pair unread = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};

static void setup(void)
{
	load_init(&load, ARENA_BYTES);
}

static void teardown(void)
{
	load_deinit(&load);
}

/* ---- the peer ends it ---- */

START_TEST(reset_by_the_peer_releases_all_with_econnreset)
{
	const struct net_pair how = {
		.family = _i, .near_sndbuf = 32 << 20, .far_rcvbuf = 16384,
	};

	load.spied = true;
	load_connect(&load, &how, NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 50);
	close(load.far);
	load.far = -1;
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert_int_eq(load.close_status, -ECONNRESET);
	ck_assert_int_eq(load.abort_status, -ECONNRESET);
	load_check_ledger(&load);
}
END_TEST

/* It has nothing more to say, and still reads. */
START_TEST(a_peer_that_half_closes_still_gets_everything)
{
	load.spied = true;
	load_connect(&load, &roomy, NULL);
	load_submit(&load, 4, EACH_BYTES);
	ck_ok(shutdown(load.far, SHUT_WR));
	load_for(&load, 50);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert(load_until(&load, load_all_received, 5000));
	ck_assert_uint_eq(load.failed, 0);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_OPEN);
	ck_ok(load_drain(&load, 0));
	ck_assert(load_until(&load, load_closed, 5000));
	ck_assert_int_eq(load.close_status, 0);
	load_check_ledger(&load);
}
END_TEST

/* ---- drain ---- */

START_TEST(a_drained_peer_reads_every_byte_and_then_the_end)
{
	static const enum zcreq_mode modes[] = {
		ZCREQ_MODE_ALWAYS, ZCREQ_MODE_NEVER, ZCREQ_MODE_AUTO,
	};
	const struct zcreq_stream_options options = {
		.mode = modes[_i], .threshold_bytes = 32768, .stall_ms = 5000,
	};
	struct load_request *last;

	load.spied = true;
	load_connect(&load, &unread, &options);
	load_submit(&load, REQUESTS, 20000);
	last = load_begin(&load, 1000);
	ck_ok(load_drain(&load, 0));
	ck_assert_int_eq(load_drain(&load, 0), -EALREADY);
	ck_ok(load_send(last, 5000)); /* its owner may still send */
	ck_ok(load_write(&load, 77));
	load_for(&load, 50);
	load.reading = true;
	ck_assert(!load_until(&load, load_closed, 300)); /* and has to finish it */
	load_finish(last, 0);
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert(load_until(&load, load_far_over, 10000));
	ck_assert(load.far_ended);
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	ck_assert_int_eq(load.close_status, 0);
	ck_assert_uint_eq(load.aborts, 0);
	ck_assert_uint_eq(load.failed, 0);
	load_check_ledger(&load);
}
END_TEST

START_TEST(drain_waits_for_what_no_request_owns)
{
	load.spied = true;
	load_connect(&load, &unread, NULL);
	for (int i = 0; i < 50; i++)
		ck_ok(load_write(&load, 50000));
	load_flush(&load);
	ck_ok(load_drain(&load, 0));
	ck_assert(!load_until(&load, load_closed, 100));
	load.reading = true;
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert(load_until(&load, load_far_over, 10000));
	ck_assert(load.far_ended);
	ck_assert_uint_eq(load.received_bytes, load.queued_bytes);
	load_check_ledger(&load);
}
END_TEST

static void ignore(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
}

START_TEST(drain_refuses_new_requests)
{
	static const struct zcreq_request_hooks ops = {.released = ignore};
	zcreq_id id;

	load_connect(&load, &unread, NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_drain(&load, 0));
	ck_assert_int_eq(zcreq_begin(load.conn, &ops, NULL, 0, &id),
			 -ESHUTDOWN);
}
END_TEST

/* grpc waited here without a deadline, and spun. */
START_TEST(field_grpc_shutdown_drain_ends_at_its_deadline)
{
	struct rusage before, after;
	uint64_t start_ns, used_us;

	load.spied = true;
	load_connect(&load, &unread, NULL);
	if (_i)
		ck_ok(net_misdirect(&load.net, true));
	load_submit(&load, REQUESTS, EACH_BYTES);
	start_ns = zcreq_now_ns();
	getrusage(RUSAGE_SELF, &before);
	ck_ok(load_drain(&load, 400));
	ck_assert(load_until(&load, load_closed, 10000));
	getrusage(RUSAGE_SELF, &after);
	used_us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
		  after.ru_utime.tv_usec - before.ru_utime.tv_usec;
	say("400 ms became %llu ms, %llu us of them busy, %llu system calls\n",
	    (unsigned long long)(zcreq_now_ns() - start_ns) / 1000000,
	    (unsigned long long)used_us, (unsigned long long)load.spy.calls);
	ck_assert_uint_ge(zcreq_now_ns(), start_ns + 400000000);
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
	ck_assert_uint_lt(load.spy.calls, 2000);
	load_check_ledger(&load);
}
END_TEST

/* The peer's host vanishes in a drain, with data on its way or with the end of the stream
 * alone. The watchdog finds it although the drain waits for ever; and where the watchdog
 * would need longer than the drain may take, the drain ends in its own time. */
START_TEST(i12_a_host_that_vanishes_in_a_drain_ends_it)
{
	const bool watched = _i & 1, only_the_end = _i & 2;
	const struct zcreq_stream_options options = {.stall_ms = watched ? 400 : 20000};
	uint64_t start_ns, took_ms;

	load.spied = true;
	load_connect(&load, &roomy, &options);
	if (only_the_end) {
		load_submit(&load, 1, 1000);
		ck_assert(load_until(&load, load_all_received, 5000));
		ck_assert(load_until(&load, load_all_released, 5000));
	}
	start_ns = zcreq_now_ns();
	ck_ok(net_misdirect(&load.net, true));
	if (!only_the_end)
		load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_drain(&load, watched ? 0 : 400));
	ck_assert(load_until(&load, load_closed, 15000));
	took_ms = (zcreq_now_ns() - start_ns) / 1000000;
	say("400 ms became %llu ms\n", (unsigned long long)took_ms);
	ck_assert_int_eq(load.close_status, -ETIMEDOUT);
	ck_assert_int_eq(zcreq_conn_cause(load.conn),
			 watched ? ZCREQ_CAUSE_VANISHED : ZCREQ_CAUSE_DRAIN_DEADLINE);
	/* the kernel counts silence in ticks of up to 10 ms */
	ck_assert_uint_ge(took_ms, 380);
	ck_assert_uint_eq(load.failed, only_the_end ? 0 : REQUESTS);
	load_check_ledger(&load);
}
END_TEST

/* ---- free ---- */

static void free_while_open(void)
{
	load_submit(&load, 0, 0);
}

static void free_with_data_queued(void)
{
	load_finish(load_begin(&load, EACH_BYTES), 0);
}

static void free_with_data_in_flight(void)
{
	load_submit(&load, REQUESTS, EACH_BYTES);
}

static void free_with_an_open_request(void)
{
	load_begin(&load, EACH_BYTES);
	load_submit(&load, REQUESTS, EACH_BYTES);
}

static void free_while_draining(void)
{
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_drain(&load, 0));
	load_turn(&load, 0);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_DRAINING);
}

static void free_while_aborting(void)
{
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_abort(&load, -EIO)); /* no turn yet */
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_ABORTING);
}

static void free_when_closed(void)
{
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	ck_assert_int_eq(zcreq_conn_state(load.conn), ZCREQ_CONN_CLOSED);
}

static void (*const before_free[])(void) = {
	free_while_open, free_with_data_queued, free_with_data_in_flight,
	free_with_an_open_request, free_while_draining, free_while_aborting, free_when_closed,
};

#define BEFORE_FREE_COUNT ((int)(sizeof(before_free) / sizeof(before_free[0])))

/* Two states more are in check_linger.c: lingering, and in quarantine. */
START_TEST(free_is_legal_in_every_state)
{
	load.spied = true;
	load_connect(&load, &unread, NULL);
	before_free[_i]();
	load_free_conn(&load);
	load_for(&load, 20);
	ck_assert_uint_eq(load_stats(&load).connections_now, 0);
	ck_assert_uint_eq(load.spy.closes, 1);
	load_check_ledger(&load);
}
END_TEST

/* ---- many ---- */

static void setup_many(void)
{
	load_init(&load, MANY * MANY_BYTES);
}

/* The first number of a file below /proc, or its @nth; 0 if there is none. */
static unsigned long number_in(const char *path, int nth)
{
	FILE *file = fopen(path, "re");
	unsigned long number = 0;

	for (int i = 0; file && i < nth; i++)
		if (fscanf(file, "%lu", &number) != 1)
			number = 0;
	if (file)
		fclose(file);
	return number;
}

/* As many sends are as many packets, and beyond these limits the kernel takes less. */
static const char *many_missing(void)
{
	if (number_in("/proc/sys/net/ipv4/tcp_mem", 3) < MANY_TCP_PAGES)
		return "less than 1 GiB of memory for all of TCP (net.ipv4.tcp_mem)";
	if (!sender_is_uring && number_in("/proc/sys/net/core/optmem_max", 1) < MANY_OPTMEM)
		return "less than 128 KiB of option memory (net.core.optmem_max; 6.7 and older)";
	return net_missing_lock();
}

static const size_t sends_at_once[] = {MANY_AT_ONCE, 1};

START_TEST(a_hundred_thousand_sends_in_flight_are_released_with_proof)
{
	const struct net_pair how = {.near_sndbuf = 1 << 30};
	const size_t at_once = sends_at_once[_i];
	uint64_t start_ns, abort_ns, end_ns;

	load_connect(&load, &how, NULL);
	ck_ok(net_misdirect(&load.net, true));
	for (size_t i = 0; i < MANY; i += at_once)
		load_submit(&load, at_once, MANY_BYTES);
	ck_assert_uint_eq(load_stats(&load).sent_bytes, MANY * MANY_BYTES);
	ck_assert_uint_eq(load.released, 0);
	start_ns = zcreq_now_ns();
	ck_ok(load_abort(&load, -ETIMEDOUT));
	abort_ns = zcreq_now_ns();
	zcreq_turn(load.context, 0);
	end_ns = zcreq_now_ns();
	ck_assert_uint_eq(load.released, MANY);
	say("%d sends in flight, %zu in a call, %llu ids: abort %.2f ms, turn %.2f ms\n", MANY,
	    at_once, (unsigned long long)load_stats(&load).notifications,
	    (abort_ns - start_ns) / 1e6, (end_ns - abort_ns) / 1e6);
	ck_assert_uint_eq(load_stats(&load).copied_batches, 0);
	ck_assert_uint_eq(load_stats(&load).notifications, load_stats(&load).zerocopy_batches);
	ck_assert(load_closed(&load));
	load_check_ledger(&load);
}
END_TEST

/* ---- abort against completion ---- */

static void *read_all(void *arg)
{
	struct pollfd p = {.fd = ((struct load *)arg)->far, .events = POLLIN};

	while (!load_far_over(arg)) {
		poll(&p, 1, 100);
		load_read(arg, 1 << 20);
	}
	return NULL;
}

START_TEST(abort_racing_completion_releases_each_once)
{
	unsigned seed = _i;
	pthread_t reader;

	load.spied = _i & 1;
	load_connect(&load, &roomy, NULL);
	load.reading = false;
	ck_ok(pthread_create(&reader, NULL, read_all, &load));
	for (int round = rand_r(&seed) % 4; round >= 0; round--) {
		load_submit(&load, 1 + rand_r(&seed) % 30, 1 + rand_r(&seed) % EACH_BYTES);
		load_turn(&load, 0);
	}
	usleep(rand_r(&seed) % 1500);
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	ck_assert(load_all_settled(&load));
	ck_assert(load_until(&load, load_closed, 5000));
	ck_ok(pthread_join(reader, NULL));
	load_check_ledger(&load);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(a_duplicate_of_the_descriptor_weakens_no_abort)
{
	int duplicate;

	load.spied = true;
	load_connect(&load, &unread, NULL);
	duplicate = dup(load.near);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	ck_assert(load_closed(&load));
	load.reading = true;
	ck_assert(load_until(&load, load_far_over, 5000)); /* reset, although still open */
	ck_assert_int_eq(load.far_error, ECONNRESET);
	ck_assert_int_ge(fcntl(duplicate, F_GETFD), 0);
	ck_ok(close(duplicate));
	load_check_ledger(&load);
}
END_TEST

static void *sleep_in_recv(void *arg)
{
	char byte;

	return (void *)recv(*(int *)arg, &byte, 1, MSG_WAITALL);
}

START_TEST(abort_releases_with_a_thread_asleep_on_the_socket)
{
	pthread_t sleeper;
	int duplicate;

	load.spied = true;
	load_connect(&load, &unread, NULL);
	duplicate = dup(load.near);
	ck_ok(fcntl(load.near, F_SETFL, 0)); /* blocking: the stream never waits */
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(pthread_create(&sleeper, NULL, sleep_in_recv, &duplicate));
	usleep(50000);
	ck_ok(load_abort(&load, -EIO));
	ck_assert(load_until(&load, load_closed, 10000));
	say("%u disconnects were needed\n", load.spy.disconnects);
	shutdown(duplicate, SHUT_RDWR);
	ck_ok(pthread_join(sleeper, NULL));
	load_check_ledger(&load);
}
END_TEST

/* A program's mistake. Nothing can be proven then, so it is said and kept. */
START_TEST(a_descriptor_closed_behind_the_library_is_told_and_quarantined)
{
	const struct zcreq_stream_options options = {.linger_ms = 100};
	char text[256];

	load_connect(&load, &unread, &options);
	if (_i)
		load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(close(load.near));
	ck_ok(zcreq_process(load.conn, POLLNVAL));
	zcreq_turn(load.context, zcreq_now_ns());
	ck_assert_int_eq(load.abort_status, -EBADF);
	ck_assert(load_all_settled(&load));
	for (size_t i = 0; i < load.count; i++)
		ck_assert(load.requests[i].status == -EBADF || !load.requests[i].status);
	load_for(&load, 300);
	ck_assert_uint_eq(load.released + load.quarantined, load.count);
	ck_assert_int_ge(zcreq_conn_explain(load.conn, ZCREQ_TEXT, text, sizeof(text)), 0);
	say("%zu released, %zu in quarantine: %s\n", load.released, load.quarantined, text);
	ck_assert_int_eq(load.closes, !_i);
	load.abandoned = _i;
	if (_i) {
		ck_assert_uint_gt(load.quarantined, 0);
		ck_assert_int_eq(zcreq_context_free(load.context), -EBUSY);
		zcreq_conn_free(load.conn);
		load.conn = NULL;
		ck_assert_int_eq(zcreq_context_free(load.context), -EBUSY);
	}
}
END_TEST

START_TEST(a_send_on_a_closed_descriptor_is_told)
{
	load_connect(&load, &roomy, NULL);
	ck_ok(close(load.near));
	load_submit(&load, 1, EACH_BYTES);
	load_for(&load, 20);
	ck_assert_int_eq(load.abort_status, -EBADF);
	ck_assert_int_eq(load.requests[0].status, -EBADF);
	ck_assert(load_closed(&load));
	load_check_ledger(&load);
}
END_TEST

static int socket_of(int domain, int type, int protocol)
{
	return socket(domain, type | SOCK_CLOEXEC, protocol);
}

/* What a stream cannot prove anything on. */
START_TEST(open_refuses_a_descriptor_that_cannot_prove)
{
	struct zcreq_conn *conn = NULL;
	struct zcreq_stream_options o = {.size = sizeof(o)};
	int pair[2], pipes[2], mptcp = socket_of(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	ck_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	ck_ok(pipe(pipes));
	const struct {
		int fd, error;
	} cases[] = {
		{-1, -EBADF},
		{999, -EBADF},
		{pipes[1], -ENOTSOCK},
		{pair[0], -EPROTONOSUPPORT},
		{mptcp, mptcp < 0 ? -EBADF : -EPROTONOSUPPORT},
		{socket_of(AF_INET, SOCK_DGRAM, 0), -EPROTOTYPE},
		{socket_of(AF_INET, SOCK_STREAM, 0), -ENOTCONN},
		{socket_of(AF_INET6, SOCK_STREAM, 0), -ENOTCONN},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		o.fd = cases[i].fd;
		ck_assert_int_eq(zcreq_stream_open(load.context, &o, &conn), cases[i].error);
		ck_assert_ptr_null(conn);
		if (o.fd >= 0 && o.fd != 999)
			ck_ok(close(o.fd)); /* still the caller's */
	}
	ck_assert_uint_eq(load_stats(&load).connections_now, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ends");
	TCase *group = real_group(suite, "ends", setup, teardown, NULL);

	tcase_add_loop_test(group, reset_by_the_peer_releases_all_with_econnreset, 0,
			    NET_FAMILIES);
	tcase_add_test(group, a_peer_that_half_closes_still_gets_everything);
	tcase_add_loop_test(group, a_drained_peer_reads_every_byte_and_then_the_end, 0, 3);
	tcase_add_test(group, drain_waits_for_what_no_request_owns);
	tcase_add_test(group, drain_refuses_new_requests);
	tcase_add_loop_test(group, i12_a_host_that_vanishes_in_a_drain_ends_it, 0, 4);
	tcase_add_loop_test(group, field_grpc_shutdown_drain_ends_at_its_deadline, 0, 2);
	tcase_add_loop_test(group, free_is_legal_in_every_state, 0, BEFORE_FREE_COUNT);
	tcase_add_loop_test(group, abort_racing_completion_releases_each_once, 0, 40);
	tcase_add_test(group, a_duplicate_of_the_descriptor_weakens_no_abort);
	tcase_add_test(group, abort_releases_with_a_thread_asleep_on_the_socket);
	tcase_add_loop_test(group, a_descriptor_closed_behind_the_library_is_told_and_quarantined,
			    0, 2);
	tcase_add_test(group, a_send_on_a_closed_descriptor_is_told);
	tcase_add_test(group, open_refuses_a_descriptor_that_cannot_prove);
	group = real_group(suite, "many", setup_many, teardown, many_missing());
	tcase_add_loop_test(group, a_hundred_thousand_sends_in_flight_are_released_with_proof, 0,
			    2);
	return real_run(suite, sender_missing());
}
