/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_follow.c - mode auto on a path that begins to copy, and stops again, on the real kernel
 *
 * Nobody copies on this path, until somebody listens: for a packet socket, as tcpdump has it, the
 * kernel copies what is sent by reference. So a connection finds out what its path does, and is
 * to follow it, both ways. What counts is how many batches ask, not how long they take.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "path/path.h"
#include "real/real.h"
#include "stream/policy.h"
#include "support/suite.h"

#define SEND_BYTES 131072
#define ARENA_BYTES ((size_t)8 << 20)
#define INFLIGHT_MOST 16

static struct net net;
static struct path path;
static char *arena;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static unsigned inflight;

static void setup(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_AUTO};

	ck_ok(net_open(&net));
	ck_ok(path_open(&path, &net));
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(arena != MAP_FAILED);
	memset(arena, 'z', ARENA_BYTES);
	options.fd = path_connect(&path, 0, "reno");
	ck_assert_int_ge(options.fd, 0);
	ck_ok(zcreq_context_new(NULL, &context));
	ck_ok(zcreq_stream_open(context, &options, &conn));
}

static void teardown(void)
{
	zcreq_conn_abort(conn, -ECANCELED);
	zcreq_turn(context, zcreq_now_ns());
	zcreq_conn_free(conn);
	ck_ok(zcreq_context_free(context));
	path_close(&path);
	munmap(arena, ARENA_BYTES);
	net_close(&net);
}

static void released(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	CLAIM(!status);
	inflight--;
}

static const struct zcreq_request_hooks hooks = {.released = released};

static struct zcreq_stats stats_now(void)
{
	struct zcreq_stats stats;

	ck_ok(zcreq_conn_stats(conn, &stats, sizeof(stats)));
	return stats;
}

static void turn_until(unsigned most)
{
	for (;;) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(context, now_ns);
		struct pollfd fd = {zcreq_context_fd(context), POLLIN, 0};

		if (inflight <= most)
			return;
		poll(&fd, 1, zcreq_timeout_ms(deadline_ns, now_ns));
	}
}

/* So many sends, each a batch of its own at least: how much of a hundred of the batches asked to
 * go by reference. */
static double asked(unsigned sends)
{
	const struct zcreq_stats before = stats_now();
	struct zcreq_stats after;
	uint64_t asked;

	for (unsigned i = 0; i < sends; i++) {
		const struct iovec iov = {arena + i * (size_t)SEND_BYTES % ARENA_BYTES, SEND_BYTES};

		ck_ok(zcreq_send(conn, &hooks, NULL, &iov, 1, 0, NULL));
		inflight++;
		turn_until(INFLIGHT_MOST);
	}
	turn_until(0);
	after = stats_now();
	asked = after.zerocopy_batches - before.zerocopy_batches;
	return 100.0 * (double)asked /
	       (double)(asked + after.copied_batches - before.copied_batches);
}

static int listen_to_packets(void)
{
	int tap = net_socket(&net, NET_NEAR, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	ck_assert_int_ge(tap, 0);
	return tap;
}

/* Rests that a full socket leaves of a send are small, and are copied on every path. */
START_TEST(a_path_that_begins_to_copy_and_stops_is_followed)
{
	double zerocopy, copying, again;
	int tap;

	asked(200);
	zerocopy = asked(500);
	tap = listen_to_packets();
	asked(2 * ZCREQ_POLICY_SAMPLE);
	copying = asked(2000);
	ck_assert_uint_gt(stats_now().notified_copied, 0);
	close(tap);
	/* the pause has become longer with each probe that failed, up to four times as long */
	asked(8 * ZCREQ_POLICY_PAUSE_LEAST);
	again = asked(500);
	say("of the batches asked: %.1f %% where nobody copies, %.1f %% while somebody listens, "
	    "%.1f %% afterwards\n", zerocopy, copying, again);
	ck_assert_double_ge(zerocopy, 90);
	ck_assert_double_le(copying, 2);
	ck_assert_double_ge(again, 90);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *tcase = real_group(suite, "follow", setup, teardown, NULL);

	tcase_add_test(tcase, a_path_that_begins_to_copy_and_stops_is_followed);
	return real_run(suite, path_missing());
}
