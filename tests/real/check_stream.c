/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_stream.c - the nine invariants of doc/architecture.md on the real kernel
 *
 * Those that need a packet that is late are in check_linger.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/real.h"

#define ARENA_BYTES (16 << 20)
#define EACH_BYTES 65536
#define REQUESTS 64

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

/* How a host is lost, and in which state its data is then. */
enum loss {
	LOSS_MISDIRECTED, /* packets go to nobody */
	LOSS_CUT_BEFORE,  /* no carrier before the first byte: the driver drops */
	LOSS_CUT_AFTER,   /* with the window full of data */
	LOSSES
};

static const char *const loss_names[] = {"misdirected", "cut before", "cut after"};

static void lose(enum loss loss, size_t count, size_t each)
{
	if (loss == LOSS_MISDIRECTED)
		ck_ok(net_misdirect(&load.net, true));
	if (loss == LOSS_CUT_BEFORE)
		ck_ok(net_cut(&load.net, true));
	load_submit(&load, count, each);
	if (loss == LOSS_CUT_AFTER)
		ck_ok(net_cut(&load.net, true));
	load_for(&load, 50);
}

static void find(enum loss loss)
{
	ck_ok(loss == LOSS_MISDIRECTED ? net_misdirect(&load.net, false)
				       : net_cut(&load.net, false));
}

/* Some were delivered, some are in flight, some unsent, one is not finished. */
START_TEST(i1_every_request_is_released_exactly_once)
{
	struct load_request *open;

	load.spied = true;
	load_connect(&load, &roomy, NULL);
	load_submit(&load, REQUESTS, 4096);
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_eq(load.failed, 0);
	load.reading = false;
	lose(_i, REQUESTS, EACH_BYTES);
	open = load_begin(&load, EACH_BYTES);
	ck_assert_uint_lt(load.released, load.count);
	ck_ok(load_abort(&load, -EIO));
	ck_assert_int_eq(load_abort(&load, -EIO), -EALREADY);
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert_uint_eq(open->aborting, 1);
	ck_assert_int_eq(open->status, -EIO);
	ck_assert_int_eq(load.close_status, -EIO);
	load_check_ledger(&load);
}
END_TEST

START_TEST(i2_no_release_without_proof_in_health)
{
	load.spied = true;
	load_connect(&load, &(struct net_pair){.family = _i, .near_sndbuf = 262144}, NULL);
	for (int round = 0; round < 8; round++) {
		load_submit(&load, 16, EACH_BYTES + round * 13);
		load_turn(&load, 0);
	}
	ck_assert(load_until(&load, load_all_released, 20000));
	ck_assert(load_until(&load, load_all_received, 5000));
	ck_assert_uint_gt(load_stats(&load).zerocopy_batches, 0);
	ck_assert_uint_eq(load.failed, 0);
	load_check_ledger(&load);
}
END_TEST

/* Buffers are overwritten in released; then the host is back and hears the rest. */
START_TEST(i2_no_recycled_byte_is_ever_sent)
{
	load_connect(&load, &roomy, NULL);
	lose(_i, REQUESTS, EACH_BYTES);
	ck_ok(load_abort(&load, -EIO));
	zcreq_turn(load.context, 0);
	ck_assert(load_all_released(&load));
	find(_i);
	load_for(&load, 700);
	say("%s: the peer heard %llu of %llu bytes, %llu foreign\n", loss_names[_i],
	    (unsigned long long)load.received_bytes, (unsigned long long)load.queued_bytes,
	    (unsigned long long)load.foreign_bytes);
	load_check_ledger(&load);
}
END_TEST

/* A host that froze and comes back in time gets everything, and nothing else. */
START_TEST(i2_a_host_that_comes_back_gets_every_byte)
{
	load.spied = true;
	load_connect(&load, &roomy, NULL);
	lose(_i, REQUESTS, EACH_BYTES);
	find(_i);
	ck_assert(load_until(&load, load_all_released, 30000));
	ck_assert(load_until(&load, load_all_received, 5000));
	ck_assert_uint_eq(load.failed, 0);
	load_check_ledger(&load);
}
END_TEST

START_TEST(i3_a_handle_used_after_its_end_is_stale)
{
	const struct iovec iov = {load.arena, 1};
	zcreq_hold hold, again;
	zcreq_id id;

	load_connect(&load, &roomy, NULL);
	id = load_begin(&load, EACH_BYTES)->id;
	ck_ok(zcreq_take(load.context, id, &hold));
	load_finish(&load.requests[0], 0);
	load_flush(&load);
	load_for(&load, 100);
	ck_assert_uint_eq(load.released, 0); /* the hold keeps it */
	ck_assert_int_eq(zcreq_finish(load.context, id, 0), -ESTALE);
	ck_ok(zcreq_drop(load.context, hold, 0));
	ck_assert(load_until(&load, load_all_released, 5000));
	ck_assert_int_eq(zcreq_drop(load.context, hold, 0), -ESTALE);
	ck_assert_int_eq(zcreq_finish(load.context, id, 0), -ESTALE);
	ck_assert_int_eq(zcreq_abort(load.context, id, -EIO), -ESTALE);
	ck_assert_int_eq(zcreq_take(load.context, id, &again), -ESTALE);
	ck_assert_int_eq(zcreq_add(load.context, id, &iov, 1, 0),
			 -ESTALE);
	ck_assert_uint_eq(load_stats(&load).stale_handles, 6);
	load_check_ledger(&load);
}
END_TEST

START_TEST(i4_every_outcome_is_told_in_the_next_turn)
{
	zcreq_hold hold;

	load_connect(&load, &roomy, NULL);
	ck_ok(zcreq_take(load.context, load_begin(&load, EACH_BYTES)->id, &hold));
	lose(_i, REQUESTS, EACH_BYTES);
	ck_ok(load_abort(&load, -ECONNABORTED));
	ck_assert_uint_eq(load.settled, 0);
	zcreq_turn(load.context, 0);
	ck_assert(load_all_settled(&load));
	for (size_t i = 0; i < load.count; i++)
		ck_assert_int_eq(load.requests[i].status, -ECONNABORTED);
	ck_assert_uint_eq(load.released, load.count - 1); /* the caller's own hold */
	ck_assert_uint_eq(load.closes, 0);
	ck_ok(zcreq_drop(load.context, hold, 0));
	zcreq_turn(load.context, 0);
	load_check_ledger(&load);
}
END_TEST

/* The central promise (spdk 3309): no timer, no poll, no time. */
START_TEST(i5_abort_releases_without_timer)
{
	const struct net_pair how = {.near_sndbuf = 32 << 20, .family = _i / LOSSES};
	uint64_t start_ns;

	load.spied = true;
	load_connect(&load, &how, NULL);
	lose(_i % LOSSES, REQUESTS, EACH_BYTES);
	ck_assert_uint_eq(load.released, 0);
	start_ns = zcreq_now_ns();
	ck_ok(load_abort(&load, -ETIMEDOUT));
	zcreq_turn(load.context, 0);
	say("%s: %zu requests of %d bytes released %llu us after the abort\n",
	    loss_names[_i % LOSSES], load.released, EACH_BYTES,
	    (unsigned long long)(load.last_release_ns - start_ns) / 1000);
	ck_assert(load_all_released(&load));
	ck_assert(load_closed(&load));
	ck_assert_int_eq(fcntl(load.near, F_GETFD), -1);
	ck_assert_uint_eq(load.spy.disconnects, 1);
	load_check_ledger(&load);
}
END_TEST

static void begin_another(struct load_request *request)
{
	size_t released;

	if (request->load->count < 200)
		load_submit(request->load, 1, 8192);
	released = request->load->released;
	zcreq_turn(request->load->context, zcreq_now_ns());
	ck_assert_uint_eq(request->load->released, released);
}

START_TEST(i6_released_may_begin_and_send)
{
	load.on_released = begin_another;
	load_connect(&load, &roomy, NULL);
	load_submit(&load, 4, 8192);
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_ge(load.count, 200);
	ck_assert(load_until(&load, load_all_received, 5000));
	load_check_ledger(&load);
}
END_TEST

static void abort_conn(struct load_request *request)
{
	int ret = load_abort(request->load, -ECANCELED);

	ck_assert(ret == 0 || ret == -EALREADY);
}

static void free_conn(struct load_request *request)
{
	if (request->load->conn)
		load_free_conn(request->load);
}

START_TEST(i6_released_may_abort_and_free_the_connection)
{
	load.on_released = _i ? free_conn : abort_conn;
	load_connect(&load, &unread, NULL);
	load_submit(&load, 100, EACH_BYTES); /* in flight, except for the first few */
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_gt(load.failed, 0);
	load_for(&load, 50);
	ck_assert_uint_eq(load_stats(&load).connections_now, 0);
	load_check_ledger(&load);
}
END_TEST

static unsigned allocations;

static void *count_calloc(size_t count, size_t size, void *arg)
{
	(void)arg;
	allocations++;
	return calloc(count, size);
}

static void count_free(void *memory, void *arg)
{
	(void)arg;
	free(memory);
}

static const struct zcreq_allocator counting = {.calloc = count_calloc, .free = count_free};

static void setup_counting(void)
{
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &counting,
	};

	load_init_with(&load, ARENA_BYTES, &options);
}

START_TEST(i7_the_steady_state_allocates_nothing)
{
	unsigned before;

	load_connect(&load, &roomy, NULL);
	for (int round = 0; round < 110; round++) {
		if (round == 10)
			before = allocations;
		for (int i = 0; i < 32; i++) {
			load_finish(load_begin(&load, 4000), 0);
			ck_ok(load_write(&load, 16));
		}
		load_flush(&load);
		ck_assert(load_until(&load, load_all_released, 5000));
	}
	say("%u allocations for the first 320 requests, %u for the next 3200\n", before,
	    allocations - before);
	ck_assert_uint_eq(allocations, before);
	load_check_ledger(&load);
}
END_TEST

static void stamp(int fd)
{
	const int stamps = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_TX_SCHED |
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID;

	ck_ok(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)));
}

/* An edge-triggered loop is not told again. */
START_TEST(i8_one_call_reads_the_whole_queue_whoever_wrote_it)
{
	load.spied = true;
	load_connect(&load, &roomy, NULL);
	stamp(load.near);
	for (int i = 0; i < 8; i++) {
		load_submit(&load, 1, 10000);
		usleep(20000);
		load_read(&load, 10000);
	}
	usleep(100000);
	ck_ok(zcreq_process(load.conn, POLLERR));
	zcreq_turn(load.context, zcreq_now_ns());
	ck_assert_uint_ge(load.messages, 8);
	ck_assert_uint_eq(load.released, 8);
	load_check_ledger(&load);
}
END_TEST

/* Somebody else's messages between the notifications: handed on, never stopped at. */
START_TEST(i8_timestamps_between_notifications_are_handed_on)
{
	load.spied = true;
	load_connect(&load, &roomy, NULL);
	stamp(load.near);
	for (int i = 0; i < 50; i++) {
		load_submit(&load, 4, 10000);
		load_turn(&load, 0);
	}
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert(load_until(&load, load_all_received, 5000));
	load_for(&load, 50);
	say("%u foreign messages\n", load.messages);
	ck_assert_uint_gt(load.messages, 0);
	ck_assert_uint_eq(load_stats(&load).foreign_messages, load.messages);
	ck_assert_uint_eq(load_stats(&load).foreign_lost, 0);
	load_check_ledger(&load);
}
END_TEST

/* Answers the first packet of a connection with "host unreachable", as a router. */
static void answer_unreachable(void)
{
	struct {
		uint8_t type, code;
		uint16_t sum;
		uint32_t unused;
		uint8_t packet[48]; /* the IP header and the start of TCP's */
	} icmp = {.type = 3, .code = 1};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int tap = net_socket(&load.net, NET_FAR, AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	int raw = net_socket(&load.net, NET_FAR, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	uint32_t sum = 0;
	uint16_t words[sizeof(icmp) / 2];

	ck_assert_int_ge(tap, 0);
	ck_assert_int_ge(raw, 0);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_assert_int_eq(recv(tap, icmp.packet, sizeof(icmp.packet), 0), sizeof(icmp.packet));
	memcpy(words, &icmp, sizeof(icmp));
	for (unsigned i = 0; i < sizeof(icmp) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	icmp.sum = ~(sum + (sum >> 16));
	memcpy(&to.sin_addr, icmp.packet + 12, 4); /* to whom it came from */
	ck_assert_int_eq(sendto(raw, &icmp, sizeof(icmp), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(icmp));
	close(tap);
	close(raw);
}

/* With IP_RECVERR an established connection takes it as its error. */
START_TEST(i8_an_icmp_error_is_reported_and_loses_nothing)
{
	const int one = 1;

	load.spied = true;
	load_connect(&load, &roomy, NULL);
	ck_ok(setsockopt(load.near, SOL_IP, IP_RECVERR, &one, sizeof(one)));
	load_submit(&load, 4, 10000);
	ck_ok(net_misdirect(&load.net, true));
	answer_unreachable();
	ck_assert(load_until(&load, load_closed, 5000));
	ck_assert_int_eq(load.close_status, -EHOSTUNREACH);
	load_check_ledger(&load);
}
END_TEST

/* A peer that does everything a stranger can do at any moment. */
START_TEST(i8_a_peer_that_misbehaves_ends_its_connection_and_nothing_else)
{
	const struct linger reset = {.l_onoff = 1};

	load.spied = true;
	load_connect(&load, &unread, NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_read(&load, 1000 * (_i + 1));
	if (_i & 1)
		ck_assert_int_eq(send(load.far, "!", 1, MSG_OOB | MSG_DONTWAIT), 1);
	if (_i & 2)
		ck_ok(setsockopt(load.far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
	if (_i & 4)
		ck_ok(shutdown(load.far, SHUT_RDWR));
	close(load.far);
	load.far = -1;
	ck_assert(load_until(&load, load_closed, 20000));
	ck_assert(load.close_status == -ECONNRESET || load.close_status == -EPIPE);
	load_check_ledger(&load);
}
END_TEST

START_TEST(i9_the_descriptor_outlives_the_connection_handle_until_all_is_proven)
{
	load.spied = true;
	load_connect(&load, &unread, NULL);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_assert_uint_gt(load.spy.pinned, 0);
	ck_assert_int_ge(fcntl(load.near, F_GETFD), 0);
	load_free_conn(&load); /* all in one: settle, let go, prove, release, close */
	ck_assert_uint_eq(load.spy.pinned, 0);
	zcreq_turn(load.context, 0);
	ck_assert_uint_eq(load.spy.closes, 1);
	ck_assert_uint_eq(load.spy.pinned_at_close, 0);
	ck_assert_int_eq(fcntl(load.near, F_GETFD), -1);
	load_check_ledger(&load);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *group = real_group(suite, "invariants", setup, teardown, NULL);

	tcase_add_loop_test(group, i1_every_request_is_released_exactly_once, 0, LOSSES);
	tcase_add_loop_test(group, i2_no_release_without_proof_in_health, 0, NET_FAMILIES);
	tcase_add_loop_test(group, i2_no_recycled_byte_is_ever_sent, 0, LOSSES);
	tcase_add_loop_test(group, i2_a_host_that_comes_back_gets_every_byte, 0, LOSSES);
	tcase_add_test(group, i3_a_handle_used_after_its_end_is_stale);
	tcase_add_loop_test(group, i4_every_outcome_is_told_in_the_next_turn, 0, LOSSES);
	tcase_add_loop_test(group, i5_abort_releases_without_timer, 0, NET_FAMILIES * LOSSES);
	tcase_add_test(group, i6_released_may_begin_and_send);
	tcase_add_loop_test(group, i6_released_may_abort_and_free_the_connection, 0, 2);
	tcase_add_test(group, i8_one_call_reads_the_whole_queue_whoever_wrote_it);
	tcase_add_test(group, i8_timestamps_between_notifications_are_handed_on);
	tcase_add_test(group, i8_an_icmp_error_is_reported_and_loses_nothing);
	tcase_add_loop_test(group,
			    i8_a_peer_that_misbehaves_ends_its_connection_and_nothing_else, 0, 8);
	tcase_add_test(group,
		       i9_the_descriptor_outlives_the_connection_handle_until_all_is_proven);
	group = real_group(suite, "allocations", setup_counting, teardown, NULL);
	tcase_add_test(group, i7_the_steady_state_allocates_nothing);
	return real_run(suite, sender_missing());
}
