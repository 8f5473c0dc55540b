/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_fields_loops.c - published bugs of loops around zero-copy sends, over loopback
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "real/real.h"

#define BYTES 200000
#define SENDS 10

static char memory[BYTES], sink[1 << 20];
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static int near, far;
static unsigned released;

static void setup(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_ALWAYS};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const int little = 30000;
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	ck_ok(bind(listener, (struct sockaddr *)&address, len));
	ck_ok(listen(listener, 1));
	ck_ok(getsockname(listener, (struct sockaddr *)&address, &len));
	near = socket(AF_INET, SOCK_STREAM, 0); /* which blocks, as descriptors do */
	ck_ok(setsockopt(near, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)));
	ck_ok(connect(near, (struct sockaddr *)&address, len));
	far = accept(listener, NULL, NULL);
	close(listener);
	ck_ok(zcreq_context_new(NULL, &context));
	options.fd = near;
	ck_ok(zcreq_stream_open(context, &options, &conn));
}

static void teardown(void)
{
	zcreq_conn_free(conn);
	for (unsigned i = 0; i < 100 && zcreq_context_free(context); i++) {
		zcreq_turn(context, zcreq_now_ns());
		poll(NULL, 0, 10);
	}
	close(far);
}

static void on_released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_ok(status);
	released++;
}

static void queue_sends(void)
{
	static const struct zcreq_request_hooks hooks = {.released = on_released};
	const struct iovec iov = {.iov_base = memory, .iov_len = BYTES};

	for (unsigned i = 0; i < SENDS; i++)
		ck_ok(zcreq_send(conn, &hooks, NULL, &iov, 1, 0, NULL));
	zcreq_turn(context, zcreq_now_ns());
}

static void read_far(void)
{
	while (recv(far, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static struct zcreq_stats stats(void)
{
	struct zcreq_stats now;

	ck_ok(zcreq_conn_stats(conn, &now, sizeof(now)));
	return now;
}

/* The program's own loop, or that of the context's descriptor. */
static void serve_by_process(unsigned until)
{
	while (released < until) {
		struct pollfd wait = {.fd = near, .events = zcreq_events(conn)};

		read_far();
		poll(&wait, 1, 1);
		ck_ok(zcreq_process(conn, wait.revents));
		zcreq_turn(context, zcreq_now_ns());
	}
}

static void serve_by_turn(unsigned until)
{
	struct pollfd wait = {.fd = zcreq_context_fd(context), .events = POLLIN};

	while (released < until) {
		read_far();
		poll(&wait, 1, 1);
		zcreq_turn(context, zcreq_now_ns());
	}
}

/* Neither a full socket nor an empty error queue: the test would hang. */
START_TEST(field_ntf_core_114_a_blocking_descriptor_blocks_nothing)
{
	ck_assert_int_eq(fcntl(near, F_GETFL) & O_NONBLOCK, 0);
	queue_sends();
	ck_assert_uint_gt(stats().unsent_bytes_now, 0);
	for (unsigned i = 0; i < 3; i++)
		ck_ok(zcreq_process(conn, POLLERR | POLLOUT));
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	serve_by_process(SENDS);
	ck_assert_int_eq(fcntl(near, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

/* Into the context's poller, and out of it by the program's own loop, and back. */
START_TEST(field_grpc_25782_another_loop_goes_on_without_copies)
{
	uint64_t before = 0;

	for (unsigned i = 1; i <= 4; i++) {
		queue_sends();
		if (i % 2)
			serve_by_process(i * SENDS);
		else
			serve_by_turn(i * SENDS);
		ck_assert_uint_gt(stats().zerocopy_batches, before);
		ck_assert_uint_eq(stats().copied_batches, 0);
		before = stats().zerocopy_batches;
	}
}
END_TEST

/* Each of them is proven by the kernel, one id for each call that it took. */
START_TEST(field_compio_756_ids_are_really_used)
{
	queue_sends();
	serve_by_process(SENDS);
	ck_assert_uint_gt(stats().zerocopy_batches, 0);
	ck_assert_uint_eq(stats().copied_batches, 0);
	ck_assert_uint_gt(stats().notifications, 0);
	ck_assert_uint_eq(stats().proved_notified + stats().proved_copied, SENDS);
	ck_assert_uint_eq(stats().proved_unsent, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fields_loops");
	TCase *fields = real_group(s, "fields", setup, teardown, NULL);

	tcase_add_test(fields, field_ntf_core_114_a_blocking_descriptor_blocks_nothing);
	tcase_add_test(fields, field_grpc_25782_another_loop_goes_on_without_copies);
	tcase_add_test(fields, field_compio_756_ids_are_really_used);
	return real_run(s, NULL);
}
