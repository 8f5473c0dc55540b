/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_stats.c - what is counted, for one connection and for a context
 *
 * That a context is the sum of its connections is asked after every story told
 * here, once more when the first connection is gone.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "stream/stream.h"
#include "support/recorder.h"
#include "support/stub.h"

#define BYTES 65536
#define SECOND 1000000000u

static struct counting memory;
static struct zcreq_context *context;
static struct stub stubs[2];
static struct zcreq_conn *conns[2];
static struct heard heard[4];
static char data[BYTES];

static void setup(void)
{
	counting_init(&memory);
	context = counting_context(&memory, 0);
	zcreq_turn(context, 100 * (uint64_t)SECOND);
	for (unsigned i = 0; i < COUNT(conns); i++) {
		stub_init(&stubs[i]);
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
	}
	memset(heard, 0, sizeof(heard));
}

static struct zcreq_stats of(const struct zcreq_conn *conn)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_conn_stats(conn, &stats, sizeof(stats)), 0);
	return stats;
}

/* All but the last, which is an age. */
static void assert_sum(void)
{
	const struct zcreq_stats all = stats_of(context), one = of(conns[0]), two = of(conns[1]);
	const uint64_t *sum = (const uint64_t *)&all, *a = (const uint64_t *)&one,
		       *b = (const uint64_t *)&two;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*sum) - 1; i++)
		ck_assert_msg(sum[i] == a[i] + b[i], "member %u: %llu is not %llu + %llu", i,
			      (unsigned long long)sum[i], (unsigned long long)a[i],
			      (unsigned long long)b[i]);
}

static void teardown(void)
{
	struct zcreq_stats before;

	for (unsigned i = 0; i < COUNT(conns); i++)
		if (zcreq_conn_state(conns[i]) <= ZCREQ_CONN_DRAINING)
			zcreq_conn_abort(conns[i], -ECONNRESET);
	for (unsigned i = 0; i < COUNT(heard); i++)
		if (zcreq_request_state(context, heard[i].id) >= 0)
			(void)!zcreq_finish(context, heard[i].id, 0);
	zcreq_turn(context, 0);
	assert_sum();
	before = stats_of(context);
	zcreq_conn_free(conns[0]);
	zcreq_conn_free(conns[1]);
	ck_assert_uint_eq(stats_of(context).begun, before.begun);
	ck_assert_uint_eq(stats_of(context).released, before.begun);
	ck_assert_uint_eq(stats_of(context).sent_bytes, before.sent_bytes);
	ck_assert_uint_eq(stats_of(context).connections_aborted, before.connections_aborted);
	counting_end(&memory, context);
}

/* One request with one send on a connection, sent. */
static void sent(unsigned i, unsigned on, size_t len)
{
	heard_begin(conns[on], &heard[i]);
	stub_send(conns[on], heard[i].id, data, len);
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

START_TEST(bytes_are_unsent_then_in_the_kernel_then_gone)
{
	stubs[0].room_bytes = 1000;
	sent(0, 0, 3000);
	sent(1, 1, 500);
	ck_assert_uint_eq(of(conns[0]).unsent_bytes_now, 2000);
	ck_assert_uint_eq(of(conns[0]).kernel_bytes_now, 1000);
	ck_assert_uint_eq(of(conns[0]).batches_now, 1);
	ck_assert_uint_eq(of(conns[0]).sent_bytes, 1000);
	ck_assert_uint_eq(stats_of(context).unsent_bytes_now, 2000);
	ck_assert_uint_eq(stats_of(context).kernel_bytes_now, 1500);
	assert_sum();
	stub_prove_all(&stubs[1]);
	zcreq_process(conns[1], POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(of(conns[1]).kernel_bytes_now + of(conns[1]).batches_now, 0);
	ck_assert_uint_eq(of(conns[1]).requests_now, 0);
	ck_assert_uint_eq(of(conns[1]).released, 1);
	ck_assert_uint_eq(of(conns[0]).released, 0);
	ck_assert_uint_eq(stats_of(context).requests_now, 1);
}
END_TEST

START_TEST(proofs_are_counted_by_kind)
{
	zcreq_hold hold;

	sent(0, 0, 1000);
	stub_prove_all(&stubs[0]);
	zcreq_process(conns[0], POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(of(conns[0]).proved_notified, 1);
	stubs[0].zerocopy_error = -ENOBUFS;
	sent(1, 0, 1000);
	ck_assert_uint_eq(of(conns[0]).proved_copied, 1);
	stubs[0].room_bytes = 0;
	sent(2, 0, 1000);
	ck_assert_int_eq(zcreq_abort(context, heard[2].id, -ECANCELED), 0);
	ck_assert_uint_eq(of(conns[0]).proved_unsent, 1);
	heard_begin(conns[0], &heard[3]);
	hold = heard_take(context, &heard[3]);
	ck_assert_uint_eq(of(conns[0]).holds_now, 1);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	ck_assert_uint_eq(of(conns[0]).holds_now, 0);
	ck_assert_uint_eq(of(conns[0]).proved_caller, 1);
	ck_assert_uint_eq(of(conns[0]).proved_notified, 1);
	ck_assert_uint_eq(of(conns[0]).aborted, 1);
}
END_TEST

START_TEST(a_write_is_no_proof_of_a_send)
{
	ck_assert_int_eq(zcreq_write(conns[0], data, 100), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(of(conns[0]).kernel_bytes_now, 100);
	stub_prove_all(&stubs[0]);
	zcreq_process(conns[0], POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(of(conns[0]).kernel_bytes_now, 0);
	ck_assert_uint_eq(of(conns[0]).proved_notified, 0);
}
END_TEST

START_TEST(enobufs_is_counted_once_and_by_its_cause)
{
	stubs[0].zerocopy_error = -ENOBUFS;
	sent(0, 0, 1000);
	ck_assert_uint_eq(of(conns[0]).no_buffers_locked, 1);
	stubs[0].zerocopy_error = 0;
	sent(1, 0, 1000);
	stubs[0].zerocopy_error = -ENOBUFS;
	sent(2, 0, 1000);
	ck_assert_uint_eq(of(conns[0]).no_buffers_option, 1);
	stubs[0].send_error = -ENOBUFS;
	sent(3, 0, 1000);
	ck_assert_uint_eq(of(conns[0]).no_buffers_machine, 1);
	ck_assert_uint_eq(of(conns[0]).no_buffers_option, 2);
	ck_assert_uint_eq(of(conns[0]).no_buffers_locked, 1);
	ck_assert_uint_eq(of(conns[0]).no_buffers, 4);
	ck_assert_uint_eq(stubs[0].refused_sends, 4);
	ck_assert_uint_eq(of(conns[1]).no_buffers, 0);
	stubs[0].send_error = 0;
}
END_TEST

START_TEST(the_age_is_that_of_the_oldest_request)
{
	ck_assert_uint_eq(stats_of(context).oldest_age_ns, 0);
	sent(0, 0, 1000);
	zcreq_turn(context, 103 * (uint64_t)SECOND);
	sent(1, 1, 1000);
	zcreq_turn(context, 105 * (uint64_t)SECOND);
	/* two times in units of a millisecond */
	ck_assert_uint_ge(of(conns[0]).oldest_age_ns, 4990000000u);
	ck_assert_uint_le(of(conns[0]).oldest_age_ns, 5010000000u);
	ck_assert_uint_ge(of(conns[1]).oldest_age_ns, 1990000000u);
	ck_assert_uint_le(of(conns[1]).oldest_age_ns, 2010000000u);
	ck_assert_uint_eq(stats_of(context).oldest_age_ns, of(conns[0]).oldest_age_ns);
}
END_TEST

START_TEST(time_that_goes_back_stands_still)
{
	zcreq_turn(context, 103 * (uint64_t)SECOND);
	sent(0, 0, 1000);
	zcreq_turn(context, 101 * (uint64_t)SECOND);
	ck_assert_uint_eq(of(conns[0]).oldest_age_ns, 0);
	zcreq_turn(context, 104 * (uint64_t)SECOND);
	ck_assert_uint_ge(of(conns[0]).oldest_age_ns, 990000000u);
	ck_assert_uint_le(of(conns[0]).oldest_age_ns, 1010000000u);
}
END_TEST

START_TEST(stale_handles_belong_to_their_connection_while_it_is_known)
{
	const zcreq_id forged = {12345};

	heard_begin(conns[1], &heard[0]);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), -ESTALE);
	ck_assert_uint_eq(of(conns[1]).stale_handles, 1);
	assert_sum();
	ck_assert_int_eq(zcreq_finish(context, forged, 0), -ESTALE);
	ck_assert_uint_eq(of(conns[1]).stale_handles, 1);
	ck_assert_uint_eq(stats_of(context).stale_handles, 2);
	context->stats.stale_handles = 0; /* so that the sums are right again */
}
END_TEST

START_TEST(quarantine_is_counted_where_it_is)
{
	stubs[0].keeps = true;
	sent(0, 0, 1000);
	ck_assert_int_eq(zcreq_conn_abort(conns[0], -EIO), 0);
	zcreq_turn(context, 101 * (uint64_t)SECOND);
	zcreq_turn(context, 200 * (uint64_t)SECOND);
	ck_assert_uint_eq(of(conns[0]).quarantined_now, 1);
	ck_assert_uint_eq(of(conns[0]).quarantined_bytes_now, 1000);
	ck_assert_uint_eq(of(conns[0]).connections_aborted, 1);
	ck_assert_uint_eq(of(conns[1]).quarantined_now, 0);
	assert_sum();
	stub_prove_all(&stubs[0]);
	zcreq_turn(context, 300 * (uint64_t)SECOND);
	ck_assert_uint_eq(of(conns[0]).quarantined_now, 0);
	ck_assert_uint_eq(of(conns[0]).quarantined_bytes_now, 0);
	ck_assert_uint_eq(of(conns[0]).proved_notified, 1);
}
END_TEST

/* A program that was compiled with another version asks for less, or for more. */
START_TEST(any_size_is_filled_as_far_as_both_know)
{
	struct {
		struct zcreq_stats stats;
		uint64_t later[2];
	} seen[2];
	struct zcreq_stats all;

	for (size_t size = 1; size <= sizeof(*seen); size++) {
		const size_t known = size < sizeof(all) ? size : sizeof(all);

		memset(seen, 0xee, sizeof(seen));
		ck_assert_int_eq(zcreq_conn_stats(conns[0], &all, sizeof(all)), 0);
		ck_assert_int_eq(zcreq_conn_stats(conns[0], &seen[0].stats, size), 0);
		ck_assert_mem_eq(&seen[0], &all, known);
		ck_assert_int_eq(zcreq_context_stats(context, &all, sizeof(all)), 0);
		ck_assert_int_eq(zcreq_context_stats(context, &seen[1].stats, size), 0);
		ck_assert_mem_eq(&seen[1], &all, known);
		for (size_t i = known; i < sizeof(*seen); i++) {
			ck_assert_uint_eq(((uint8_t *)&seen[0])[i], i < size ? 0 : 0xee);
			ck_assert_uint_eq(((uint8_t *)&seen[1])[i], i < size ? 0 : 0xee);
		}
	}
}
END_TEST

START_TEST(a_size_of_nothing_and_null_are_errors)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_conn_stats(NULL, &stats, sizeof(stats)), -EINVAL);
	ck_assert_int_eq(zcreq_conn_stats(conns[0], NULL, sizeof(stats)), -EINVAL);
	ck_assert_int_eq(zcreq_conn_stats(conns[0], &stats, 0), -EINVAL);
}
END_TEST

/* What one request, one send and one idle connection may cost. */
START_TEST(memory_is_within_its_limits)
{
	ck_assert_uint_le(sizeof(struct zcreq_request), 128);
	ck_assert_uint_le(sizeof(struct zcreq_send) + sizeof(struct zcreq_batch), 64);
	ck_assert_uint_le(sizeof(struct zcreq_stream), 1024);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tcase = tcase_create("stats");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, bytes_are_unsent_then_in_the_kernel_then_gone);
	tcase_add_test(tcase, proofs_are_counted_by_kind);
	tcase_add_test(tcase, a_write_is_no_proof_of_a_send);
	tcase_add_test(tcase, enobufs_is_counted_once_and_by_its_cause);
	tcase_add_test(tcase, the_age_is_that_of_the_oldest_request);
	tcase_add_test(tcase, time_that_goes_back_stands_still);
	tcase_add_test(tcase, stale_handles_belong_to_their_connection_while_it_is_known);
	tcase_add_test(tcase, quarantine_is_counted_where_it_is);
	tcase_add_test(tcase, any_size_is_filled_as_far_as_both_know);
	tcase_add_test(tcase, a_size_of_nothing_and_null_are_errors);
	tcase_add_test(tcase, memory_is_within_its_limits);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
