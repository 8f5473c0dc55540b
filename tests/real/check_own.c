/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_own.c - a program that makes its own sends on real TCP: proof, and every end
 *
 * The stream is a pattern, and each request a run of it. What is released is overwritten at
 * once, and what the far end reads is compared with the pattern. The program's queue is the
 * run of requests that are not wholly sent.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "real/net.h"
#include "real/real.h"

#define EACH 50000
#define COUNT_MOST 400
#define PARTS 16
#define STALL_MS 300
#define RECYCLED 0xee
#define MS 1000000ull

static struct request {
	zcreq_id id;
	size_t done;
	unsigned settled, released;
	int status;
	bool finished;
} requests[COUNT_MOST];

static struct net net;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static uint8_t *memory;
static unsigned count, sent, released, aborts, closes;
static int near, far, close_status;
static enum zcreq_cause cause;
static uint64_t received, wrong;
static bool far_ended;

static uint8_t pattern(uint64_t n)
{
	return (n * 0x9e3779b97f4a7c15u >> 57) & 0x7f;
}

static uint8_t *memory_of(const struct request *request)
{
	return memory + (size_t)(request - requests) * EACH;
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;

	(void)id;
	expect(!request->settled++);
	request->status = status;
}

static void on_released(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;

	(void)id;
	expect(!request->released++ && request->settled == 1 && request->status == status);
	expect(status || request->done == EACH);
	memset(memory_of(request), RECYCLED, EACH);
	released++;
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	struct request *request = arg;

	request->finished = true;
	ck_ok(zcreq_finish(context, id, status));
}

static void on_abort(struct zcreq_conn *of, int status, void *arg)
{
	(void)of;
	(void)status;
	(void)arg;
	aborts++;
}

static void on_closed(struct zcreq_conn *of, int status, void *arg)
{
	(void)arg;
	closes++;
	close_status = status;
	cause = (enum zcreq_cause)zcreq_conn_cause(of);
}

static const struct zcreq_request_hooks request_hooks = {
	.settled = on_settled, .released = on_released, .aborting = on_aborting,
};
static const struct zcreq_conn_hooks conn_hooks = {.abort = on_abort, .closed = on_closed};

static void setup(void)
{
	ck_ok(net_open(&net));
	ck_ok(zcreq_context_new(NULL, &context));
	memory = malloc((size_t)COUNT_MOST * EACH);
	for (size_t n = 0; n < (size_t)COUNT_MOST * EACH; n++)
		memory[n] = pattern(n);
}

static void open_stream(const struct net_pair *how, enum zcreq_mode mode, uint32_t stall_ms)
{
	const struct zcreq_stream_options options = {
		.size = sizeof(options), .flags = ZCREQ_STREAM_OWN_SENDS, .hooks = &conn_hooks,
		.mode = mode, .stall_ms = stall_ms, .fd = -1,
	};
	struct zcreq_stream_options on_near = options;

	ck_ok(net_connect(&net, how, &near, &far));
	on_near.fd = near;
	ck_ok(zcreq_stream_open(context, &on_near, &conn));
}

static void begin(unsigned more)
{
	while (more--) {
		struct request *request = &requests[count++];

		ck_ok(zcreq_begin(conn, &request_hooks, request, 0, &request->id));
	}
}

/* What the next call has: requests from @sent on. */
static int gather(struct zcreq_part *parts, struct iovec *iov)
{
	int n = 0;

	for (unsigned at = sent; at < count && n < PARTS; at++, n++) {
		struct request *request = &requests[at];

		iov[n].iov_base = memory_of(request) + request->done;
		iov[n].iov_len = EACH - request->done;
		parts[n] = (struct zcreq_part){request->id, iov[n].iov_len};
	}
	return n;
}

static ssize_t call(struct iovec *iov, int n, bool zerocopy)
{
	const struct msghdr message = {
		.msg_iov = iov, .msg_iovlen = (__typeof__(message.msg_iovlen))n,
	};
	ssize_t ret = sendmsg(near, &message,
			      MSG_DONTWAIT | MSG_NOSIGNAL | (zerocopy ? MSG_ZEROCOPY : 0));

	return ret < 0 ? -errno : ret;
}

static void taken(size_t bytes)
{
	while (bytes) {
		struct request *request = &requests[sent];
		size_t part = EACH - request->done < bytes ? EACH - request->done : bytes;

		bytes -= part;
		request->done += part;
		if (request->done < EACH)
			return;
		if (!request->finished)
			ck_ok(zcreq_finish(context, request->id, 0));
		request->finished = true;
		sent++;
	}
}

/* Calls until the socket takes no more, or nothing is left. */
static void flush(void)
{
	struct zcreq_part parts[PARTS];
	struct iovec iov[PARTS];
	bool zerocopy;
	ssize_t ret = 1;

	while (ret > 0 && sent < count && !aborts) {
		int n = gather(parts, iov);

		if (zcreq_offer(conn, parts, n, &zerocopy))
			return;
		ret = call(iov, n, zerocopy);
		ck_ok(zcreq_sent(conn, ret, zerocopy));
		if (ret > 0)
			taken((size_t)ret);
	}
}

static void read_far(void)
{
	static uint8_t bytes[1 << 17];
	ssize_t got = recv(far, bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < got; i++)
		wrong += bytes[i] != pattern(received + (uint64_t)i);
	received += got > 0 ? (uint64_t)got : 0;
	far_ended |= got == 0;
}

static void round_of_loop(bool reads)
{
	struct pollfd fd = {.fd = -1};

	if (!closes) {
		flush();
		fd.events = zcreq_events(conn);
		fd.fd = fd.events ? near : -1;
	}
	poll(&fd, 1, 1);
	if (fd.revents)
		ck_ok(zcreq_process(conn, fd.revents));
	zcreq_turn(context, zcreq_now_ns());
	if (reads)
		read_far();
}

static bool all_released(void)
{
	return released == count;
}

static bool all_sent(void)
{
	return sent == count;
}

static bool is_closed(void)
{
	return closes;
}

static bool until(bool (*done)(void), uint64_t ms, bool reads)
{
	const uint64_t end_ns = zcreq_now_ns() + ms * MS;

	while (!done() && zcreq_now_ns() < end_ns)
		round_of_loop(reads);
	return done();
}

static struct zcreq_stats stats(void)
{
	struct zcreq_stats now;

	ck_ok(zcreq_context_stats(context, &now, sizeof(now)));
	return now;
}

/* All came back, and nothing of it was seen after that. */
static void teardown(void)
{
	zcreq_conn_free(conn);
	zcreq_turn(context, zcreq_now_ns());
	ck_assert_uint_eq(released, count);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(stats().bogus_ranges, 0);
	ck_assert_uint_eq(stats().quarantined_now, 0);
	ck_ok(zcreq_context_free(context));
	close(far);
	net_close(&net);
	free(memory);
}

static const struct net_pair roomy = {.near_sndbuf = 32 << 20};
static const struct net_pair narrow = {.near_sndbuf = 200000, .far_rcvbuf = 100000};

/* Calls are cut anywhere by a small send buffer; and by one that has room for all. */
START_TEST(i2_what_was_taken_is_released_with_proof_and_arrives_whole)
{
	open_stream(_i ? &roomy : &narrow, ZCREQ_MODE_ALWAYS, 0);
	begin(COUNT_MOST);
	ck_assert(until(all_released, 20000, true));
	while (received < (uint64_t)COUNT_MOST * EACH && !wrong)
		read_far();
	ck_assert_uint_eq(stats().sent_bytes, received);
	ck_assert_uint_gt(stats().zerocopy_batches, 0);
	say("%llu calls by reference, %llu copied\n",
	    (unsigned long long)stats().zerocopy_batches,
	    (unsigned long long)stats().copied_batches);
}
END_TEST

/* Nobody reads, so what the kernel has it keeps: no proof, no release. */
START_TEST(i2_no_release_while_the_peer_has_not_acknowledged)
{
	open_stream(&roomy, ZCREQ_MODE_ALWAYS, 0);
	ck_ok(net_misdirect(&net, true));
	begin(20);
	ck_assert(!until(all_released, 100, false));
	ck_assert(all_sent());
	ck_assert_uint_eq(released, 0);
	ck_ok(net_misdirect(&net, false));
	ck_assert(until(all_released, 20000, true));
}
END_TEST

/* @_i: by reference, or I12: copied, so that no request waits for it. */
START_TEST(i12_a_host_that_vanishes_is_found_and_all_comes_back)
{
	uint64_t start_ns;

	open_stream(&roomy, _i ? ZCREQ_MODE_NEVER : ZCREQ_MODE_ALWAYS, STALL_MS);
	begin(10);
	ck_assert(until(all_released, 5000, true));
	start_ns = zcreq_now_ns();
	ck_ok(net_misdirect(&net, true));
	begin(40);
	ck_assert(until(is_closed, 20000, true));
	say("%s: over after %llu ms\n", _i ? "copied" : "by reference",
	    (unsigned long long)((zcreq_now_ns() - start_ns) / MS));
	ck_assert_uint_ge(zcreq_now_ns() - start_ns, STALL_MS * MS);
	ck_assert_int_eq(close_status, -ETIMEDOUT);
	ck_assert_int_eq(cause, ZCREQ_CAUSE_VANISHED);
	ck_assert_uint_eq(released, count);
}
END_TEST

START_TEST(a_reset_ends_it_and_all_comes_back)
{
	const struct linger at_once = {.l_onoff = 1};

	open_stream(&narrow, ZCREQ_MODE_ALWAYS, 0);
	begin(100);
	until(all_sent, 50, false);
	ck_assert(!all_sent());
	ck_ok(setsockopt(far, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
	close(far);
	far = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(until(is_closed, 5000, false));
	ck_assert_int_eq(cause, ZCREQ_CAUSE_RESET);
	ck_assert_uint_eq(released, count);
}
END_TEST

/* I11: all that was reported arrives, and then the end. */
START_TEST(i11_a_drain_loses_nothing_that_was_reported)
{
	open_stream(&narrow, ZCREQ_MODE_ALWAYS, 0);
	begin(60);
	ck_assert(until(all_sent, 10000, true));
	ck_ok(zcreq_conn_drain(conn, 0));
	ck_assert(until(is_closed, 10000, true));
	ck_assert_int_eq(close_status, 0);
	ck_assert_int_eq(cause, ZCREQ_CAUSE_DRAINED);
	while (!far_ended)
		read_far();
	ck_assert_uint_eq(received, 60ull * EACH);
}
END_TEST

/* Between the call and its report: the kernel gives all back, and the report is taken. */
START_TEST(i5_an_abort_before_the_report_needs_no_timer)
{
	struct zcreq_part parts[PARTS];
	struct iovec iov[PARTS];
	ssize_t ret;

	open_stream(&roomy, ZCREQ_MODE_ALWAYS, 0);
	ck_ok(net_misdirect(&net, true));
	begin(PARTS);
	ck_ok(zcreq_offer(conn, parts, gather(parts, iov), NULL));
	ret = call(iov, PARTS, true);
	ck_assert_int_gt(ret, 0);
	ck_ok(zcreq_conn_abort(conn, -EIO));
	zcreq_turn(context, 0);
	ck_assert_uint_eq(released, 0);
	ck_ok(zcreq_sent(conn, ret, true));
	zcreq_turn(context, 0);
	ck_assert_uint_eq(released, count);
}
END_TEST

static Suite *own_suite(void)
{
	Suite *suite = suite_create("own");
	TCase *tc = real_group(suite, "own", setup, teardown, NULL);

	tcase_add_loop_test(tc, i2_what_was_taken_is_released_with_proof_and_arrives_whole, 0, 2);
	tcase_add_test(tc, i2_no_release_while_the_peer_has_not_acknowledged);
	tcase_add_loop_test(tc, i12_a_host_that_vanishes_is_found_and_all_comes_back, 0, 2);
	tcase_add_test(tc, a_reset_ends_it_and_all_comes_back);
	tcase_add_test(tc, i11_a_drain_loses_nothing_that_was_reported);
	tcase_add_test(tc, i5_an_abort_before_the_report_needs_no_timer);
	return suite;
}

int main(void)
{
	return real_run(own_suite(), net_missing());
}
