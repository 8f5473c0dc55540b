/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_log.c - the log of events: what is in it, in which order, and how it ends
 *
 * Time is a counter that every look winds on.
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "core/core.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define EVENTS 64
#define LOG_BYTES (sizeof(struct zcreq_trace_header) + EVENTS * sizeof(struct zcreq_trace_event))

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static struct heard heard[2];
static char data[65536];
static uint64_t log_memory[LOG_BYTES / 8 + 100];
static uint64_t now_ns;

static uint64_t wound_clock(void)
{
	return now_ns += 10;
}

static int start_with(void *where, size_t bytes, uint64_t (*clock_ns)(void))
{
	const struct zcreq_trace_options o = {
		.size = sizeof(o), .memory = where, .memory_bytes = bytes,
		.clock_ns = clock_ns,
	};

	return zcreq_trace_start(context, &o);
}

static void start(void)
{
	ck_assert_int_eq(start_with(log_memory, LOG_BYTES, wound_clock), 0);
}

static const struct zcreq_trace_header *header(void)
{
	return (const struct zcreq_trace_header *)log_memory;
}

static const struct zcreq_trace_event *event(uint64_t n)
{
	CLAIM(n < header()->written);
	return (const struct zcreq_trace_event *)(header() + 1) + n % header()->capacity;
}

static void setup(void)
{
	counting_init(&memory);
	context = counting_context(&memory, 0);
	stub_init(&stub);
	memset(heard, 0, sizeof(heard));
	memset(log_memory, 0xee, sizeof(log_memory));
	conn = NULL;
}

static void open_stream(void)
{
	conn = stub_open(&stub, context, NULL, NULL);
}

static void teardown(void)
{
	if (conn && zcreq_conn_state(conn) <= ZCREQ_CONN_DRAINING)
		zcreq_conn_abort(conn, -ECONNRESET);
	zcreq_turn(context, 0);
	zcreq_conn_free(conn);
	counting_end(&memory, context);
}

static void sent(unsigned i)
{
	heard_begin(conn, &heard[i]);
	stub_send(conn, heard[i].id, data, 1000);
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

static void proven(void)
{
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
}

/* The kinds from event @from on are these, and time does not go back. */
static void assert_kinds(uint64_t from, const enum zcreq_trace_kind *kinds, size_t count)
{
	ck_assert_uint_eq(header()->written, from + count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_msg(event(from + i)->kind == kinds[i], "event %zu is a %u, not a %u", i,
			      event(from + i)->kind, kinds[i]);
		ck_assert(!i || event(from + i)->time_ns >= event(from + i - 1)->time_ns);
	}
}

START_TEST(a_life_is_told_in_order)
{
	static const enum zcreq_trace_kind kinds[] = {
		ZCREQ_TRACE_OPEN, ZCREQ_TRACE_BEGIN, ZCREQ_TRACE_SEND, ZCREQ_TRACE_BATCH,
		ZCREQ_TRACE_FINISH, ZCREQ_TRACE_NOTIFIED, ZCREQ_TRACE_RELEASED,
	};

	start();
	open_stream();
	sent(0);
	proven();
	assert_kinds(0, kinds, COUNT(kinds));
	for (unsigned i = 1; i <= 6; i++)
		if (i != 3 && i != 5)
			ck_assert_uint_eq(event(i)->subject, heard[0].id.bits);
	ck_assert_uint_eq(event(2)->first, 0);
	ck_assert_uint_eq(event(2)->last, 1000);
	ck_assert_uint_eq(event(3)->subject, (uint64_t)1000 << 32);
	ck_assert_uint_eq(event(3)->first + event(3)->last, 0);
	ck_assert_uint_eq(event(5)->first + event(5)->last, 0);
	ck_assert_int_eq(event(6)->status, 0);
}
END_TEST

START_TEST(an_abort_is_told_with_all_that_follows)
{
	static const enum zcreq_trace_kind kinds[] = {
		ZCREQ_TRACE_ABORT, ZCREQ_TRACE_SETTLED, ZCREQ_TRACE_ABORTED,
		ZCREQ_TRACE_DISCONNECT, ZCREQ_TRACE_NOTIFIED, ZCREQ_TRACE_CLOSED,
		ZCREQ_TRACE_RELEASED,
	};
	uint64_t from;

	start();
	open_stream();
	sent(0);
	from = header()->written;
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(header()->written, from + COUNT(kinds));
	for (unsigned i = 0; i < COUNT(kinds); i++) {
		unsigned found = 0;

		/* the order of released and closed is the turn's */
		for (uint64_t n = from; n < header()->written; n++)
			found += event(n)->kind == kinds[i];
		ck_assert_uint_eq(found, 1);
	}
	ck_assert_int_eq(event(from)->kind, ZCREQ_TRACE_ABORT);
	ck_assert_int_eq(event(from)->status, -ETIMEDOUT);
}
END_TEST

START_TEST(copies_holds_and_stale_handles_are_told)
{
	zcreq_hold hold;
	uint64_t from;

	start();
	open_stream();
	stub.zerocopy_error = -ENOBUFS;
	heard_begin(conn, &heard[0]);
	stub_send(conn, heard[0].id, data, 500);
	from = header()->written;
	ck_assert_int_eq(event(from - 2)->kind, ZCREQ_TRACE_NO_BUFFERS);
	ck_assert_int_eq(event(from - 1)->kind, ZCREQ_TRACE_COPY);
	ck_assert_uint_eq(event(from - 1)->subject >> 32, 500);
	hold = heard_take(context, &heard[0]);
	ck_assert_uint_eq(event(from)->first, 1);
	ck_assert_int_eq(zcreq_drop(context, hold, -EIO), 0);
	ck_assert_int_eq(event(from + 1)->kind, ZCREQ_TRACE_DROP);
	ck_assert_int_eq(event(from + 1)->status, -EIO);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), -ESTALE);
	ck_assert_int_eq(event(header()->written - 1)->kind, ZCREQ_TRACE_STALE);
	ck_assert_int_eq(event(header()->written - 1)->status, -ESTALE);
	ck_assert_uint_eq(event(header()->written - 1)->subject, hold.bits);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), -ESTALE);
	ck_assert_uint_eq(event(header()->written - 1)->subject, heard[0].id.bits);
}
END_TEST

START_TEST(a_drain_and_a_stall_are_told)
{
	static const struct tcp_info silent = {
		.tcpi_state = 1, .tcpi_unacked = 1, .tcpi_last_ack_recv = 700,
		.tcpi_last_data_recv = 700, .tcpi_retransmits = 3,
	};
	struct zcreq_stream_options options = stub_options(&stub);
	uint64_t from;

	start();
	options.stall_ms = 500;
	zcreq_turn(context, 1000000000);
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	sent(0);
	from = header()->written;
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	ck_assert_uint_eq(header()->written, from + 1);
	ck_assert_int_eq(event(from)->kind, ZCREQ_TRACE_DRAIN);
	ck_assert_uint_eq(event(from)->conn, event(0)->conn);
	stub.info = &silent;
	zcreq_turn(context, 1599000000);
	ck_assert_int_eq(event(from + 1)->kind, ZCREQ_TRACE_STALL);
	ck_assert_int_eq(event(from + 1)->status, ZCREQ_STALL_VANISHED);
	ck_assert_uint_eq(event(from + 1)->first, 599); /* ms */
	ck_assert_int_eq(event(from + 2)->kind, ZCREQ_TRACE_ABORT);
}
END_TEST

/* The numbers of an event have 32 bits. */
/* Every word of every event, the clock's apart: kind, whose, status, two numbers. Whose:
 * the n-th request, or what an event without one has there. */
struct told {
	enum zcreq_trace_kind kind;
	int request; /* -1: none */
	uint64_t subject;
	int status;
	uint32_t first, last;
};

static void assert_told(uint64_t from, const struct told *told, size_t count)
{
	ck_assert_uint_eq(header()->written, from + count);
	for (size_t i = 0; i < count; i++) {
		const struct zcreq_trace_event *e = event(from + i);
		uint64_t subject = told[i].request < 0 ? told[i].subject
						       : heard[told[i].request].id.bits;

		ck_assert_msg(e->kind == told[i].kind && e->subject == subject && e->conn == 0 &&
			      e->status == told[i].status && e->first == told[i].first &&
			      e->last == told[i].last,
			      "event %zu: kind %u, subject %#llx, status %d, %u, %u", i, e->kind,
			      (unsigned long long)e->subject, e->status, e->first, e->last);
	}
}

START_TEST(every_word_of_two_sends_in_a_batch_and_a_copy)
{
	static const struct told told[] = {
		{ZCREQ_TRACE_OPEN, -1, 0, 0, 0, 0},
		{ZCREQ_TRACE_BEGIN, 0, 0, 0, 0, 0},
		{ZCREQ_TRACE_SEND, 0, 0, 0, 0, 1000},
		{ZCREQ_TRACE_BEGIN, 1, 0, 0, 0, 0},
		{ZCREQ_TRACE_SEND, 1, 0, 0, 1, 1000},
		{ZCREQ_TRACE_BATCH, -1, (uint64_t)2000 << 32, 0, 0, 1},
		{ZCREQ_TRACE_SEND, 1, 0, 0, 2, 300},
		{ZCREQ_TRACE_BATCH, -1, (uint64_t)300 << 32 | 1, 0, 2, 2},
		{ZCREQ_TRACE_SEND, 0, 0, 0, 3, 200},
		{ZCREQ_TRACE_NO_BUFFERS, -1, 0, -ENOBUFS, 2, 0},
		{ZCREQ_TRACE_COPY, -1, (uint64_t)200 << 32, 0, 3, 3},
		{ZCREQ_TRACE_FINISH, 0, 0, 0, 0, 0},
		{ZCREQ_TRACE_FINISH, 1, 0, 0, 0, 0},
		{ZCREQ_TRACE_NOTIFIED, -1, 0, 0, 0, 1},
		{ZCREQ_TRACE_RELEASED, 0, 0, 0, 0, 0},
		{ZCREQ_TRACE_RELEASED, 1, 0, 0, 0, 0},
	};
	const struct iovec iov = {data, 1000};

	start();
	open_stream();
	for (unsigned i = 0; i < 2; i++) {
		heard_begin(conn, &heard[i]);
		ck_assert_int_eq(zcreq_add(context, heard[i].id, &iov, 1, 0), 0);
	}
	zcreq_turn(context, 0);
	stub_send(conn, heard[1].id, data, 300);
	stub.zerocopy_error = -ENOBUFS;
	stub_send(conn, heard[0].id, data, 200);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
	proven();
	assert_told(0, told, COUNT(told));
}
END_TEST

START_TEST(every_word_of_an_abort)
{
	static const struct told told[] = {
		{ZCREQ_TRACE_ABORT, -1, 0, -ETIMEDOUT, ZCREQ_CAUSE_ABORTED, 0},
		{ZCREQ_TRACE_ABORTED, 0, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_SETTLED, 0, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_ABORTED, 1, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_SETTLED, 1, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_DISCONNECT, -1, 0, 0, 0, 0},
		{ZCREQ_TRACE_QUARANTINED, 0, 0, 0, 0, 0},
		{ZCREQ_TRACE_DROP, 1, 0, -EIO, 0, 0},
		{ZCREQ_TRACE_FINISH, 1, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_NOTIFIED, -1, 0, 0, 0, 0},
		{ZCREQ_TRACE_RELEASED, 1, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_RELEASED, 0, 0, -ETIMEDOUT, 0, 0},
		{ZCREQ_TRACE_CLOSED, -1, 0, -ETIMEDOUT, ZCREQ_CAUSE_ABORTED, 0},
	};
	zcreq_hold hold;
	uint64_t from;

	start();
	open_stream();
	stub.keeps = true;
	sent(0);
	heard_begin(conn, &heard[1]);
	hold = heard_take(context, &heard[1]);
	from = header()->written;
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	for (uint64_t s = 0; s < 7; s++)
		zcreq_turn(context, s * 1000000000);
	ck_assert_int_eq(zcreq_drop(context, hold, -EIO), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[1].id, 0), 0);
	stub_prove_all(&stub);
	zcreq_turn(context, 9000000000);
	assert_told(from, told, COUNT(told));
}
END_TEST

START_TEST(a_send_of_more_than_four_gigabytes_is_told_as_that)
{
	const uint64_t sizes[] = {UINT32_MAX - 1, UINT32_MAX, (uint64_t)5 << 30};
	/* which the stub does not look at; a half fits into 32 bits */
	const struct iovec iov[] = {
		{data, (size_t)(sizes[_i] / 2)},
		{data, (size_t)(sizes[_i] - sizes[_i] / 2)},
	};
	const bool too_long = sizes[_i] > SSIZE_MAX; /* with 32 bits */

	start();
	open_stream();
	stub.room_bytes = 0;
	heard_begin(conn, &heard[0]);
	ck_assert_int_eq(zcreq_add(context, heard[0].id, iov, 2, 0), too_long ? -EOVERFLOW : 0);
	if (!too_long) {
		ck_assert_int_eq(event(2)->kind, ZCREQ_TRACE_SEND);
		ck_assert_uint_eq(event(2)->last, _i ? UINT32_MAX : UINT32_MAX - 1);
	}
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
}
END_TEST

/* 16 bits of a status. */
START_TEST(a_status_that_is_too_low_is_the_lowest)
{
	const int given[] = {-32768, -32769, INT_MIN};
	const struct told told[] = {
		{ZCREQ_TRACE_SETTLED, 0, 0, -32768, 0, 0}, {ZCREQ_TRACE_FINISH, 0, 0, -32768, 0, 0},
	};
	uint64_t from;

	start();
	open_stream();
	heard_begin(conn, &heard[0]);
	from = header()->written;
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, given[_i]), 0);
	assert_told(from, told, COUNT(told));
	zcreq_turn(context, 0);
	ck_assert_int_eq(heard[0].status, given[_i]);
}
END_TEST

START_TEST(a_mark_keeps_sixteen_bytes)
{
	const char text[] = "exactly 16 bytes and more";
	const struct zcreq_trace_event *mark;
	char kept[16];

	zcreq_trace_mark(context, "nobody listens");
	zcreq_trace_mark(NULL, "nobody");
	start();
	zcreq_trace_mark(context, NULL);
	ck_assert_uint_eq(header()->written, 0);
	zcreq_trace_mark(context, text);
	mark = event(0);
	memcpy(kept, &mark->subject, 8);
	memcpy(kept + 8, &mark->first, 4);
	memcpy(kept + 12, &mark->last, 4);
	ck_assert_int_eq(memcmp(kept, text, sizeof(kept)), 0);
}
END_TEST

START_TEST(the_ring_wraps_and_keeps_the_newest)
{
	start();
	ck_assert_uint_eq(header()->capacity, EVENTS);
	for (unsigned i = 0; i < 3 * EVENTS + 5; i++)
		zcreq_trace_mark(context, "m");
	ck_assert_uint_eq(header()->written, 3 * EVENTS + 5);
	for (unsigned i = 2 * EVENTS + 5; i < 3 * EVENTS + 5; i++)
		ck_assert_uint_eq(event(i)->time_ns, now_ns - 10 * (3 * EVENTS + 4 - i));
	for (size_t i = LOG_BYTES / 8; i < COUNT(log_memory); i++)
		ck_assert_uint_eq(log_memory[i], 0xeeeeeeeeeeeeeeee);
}
END_TEST

static uint64_t as_it_was[LOG_BYTES / 8];
static unsigned looks;

/* The memory as a program leaves it that is killed while it asks for the time. */
static uint64_t looking_clock(void)
{
	CLAIM(memcmp(as_it_was, log_memory, sizeof(as_it_was)) == 0);
	looks++;
	return wound_clock();
}

START_TEST(nothing_is_overwritten_before_the_time_is_known)
{
	ck_assert_int_eq(start_with(log_memory, LOG_BYTES, looking_clock), 0);
	for (unsigned i = 0; i < 2 * EVENTS; i++) {
		memcpy(as_it_was, log_memory, sizeof(as_it_was));
		zcreq_trace_mark(context, "m");
	}
	ck_assert_uint_eq(looks, 2 * EVENTS);
}
END_TEST

/* From the least size on: the largest power of two that fits, and not a byte more. */
START_TEST(any_size_of_memory_is_used_as_far_as_it_goes)
{
	const size_t least = 64 + ZCREQ_TRACE_LEAST * 32;

	for (size_t bytes = 0; bytes <= sizeof(log_memory) - 8; bytes++) {
		int ret;

		memset(log_memory, 0xee, sizeof(log_memory));
		ret = start_with(log_memory, bytes, NULL);
		CLAIM(ret == (bytes < least ? -EINVAL : 0));
		if (ret)
			continue;
		CLAIM(header()->capacity * 32 + 64 <= bytes);
		CLAIM(header()->capacity * 64 + 64 > bytes);
		for (unsigned i = 0; i < header()->capacity + 3; i++)
			zcreq_trace_mark(context, "m");
		CLAIM(((uint8_t *)log_memory)[64 + header()->capacity * 32] == 0xee);
		CLAIM(zcreq_trace_stop(context) == 0);
	}
}
END_TEST

START_TEST(without_a_clock_it_is_the_time_of_the_turn)
{
	ck_assert_int_eq(start_with(log_memory, LOG_BYTES, NULL), 0);
	zcreq_turn(context, 12345678);
	zcreq_trace_mark(context, "m");
	ck_assert_uint_eq(event(0)->time_ns, 12345678);
}
END_TEST

START_TEST(one_reading_of_the_clock_does_for_a_few_events_but_not_across_a_turn)
{
	zcreq_hold hold;
	uint64_t from, readings;

	start();
	open_stream();
	heard_begin(conn, &heard[0]);
	from = header()->written;
	readings = now_ns;
	for (unsigned i = 0; i < 16; i++) {
		hold = heard_take(context, &heard[0]);
		ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	}
	ck_assert_uint_eq(header()->written, from + 32);
	ck_assert_uint_eq(now_ns, readings + 20);
	zcreq_turn(context, 1);
	hold = heard_take(context, &heard[0]);
	ck_assert_uint_eq(now_ns, readings + 30);
	ck_assert_uint_eq(event(from + 32)->time_ns, now_ns);
	zcreq_trace_mark(context, "m");
	ck_assert_uint_eq(now_ns, readings + 40);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
	ck_assert_uint_eq(event(from + 34)->time_ns, event(from + 33)->time_ns);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
}
END_TEST

static zcreq_hold taken_inside;

static void take_in_released(struct heard *of, enum heard_callback callback)
{
	(void)of;
	if (callback == HEARD_RELEASED)
		taken_inside = heard_take(context, &heard[1]);
}

START_TEST(a_reading_for_a_callback_is_not_that_of_what_follows_the_turn)
{
	zcreq_hold after;
	uint64_t readings;

	start();
	open_stream();
	heard_begin(conn, &heard[1]);
	heard[0].inside = take_in_released;
	sent(0);
	proven();
	ck_assert_int_eq(event(header()->written - 1)->kind, ZCREQ_TRACE_TAKE);
	readings = now_ns;
	after = heard_take(context, &heard[1]);
	ck_assert_uint_eq(now_ns, readings + 10);
	ck_assert_uint_eq(event(header()->written - 1)->time_ns, now_ns);
	ck_assert_int_eq(zcreq_drop(context, taken_inside, 0), 0);
	ck_assert_int_eq(zcreq_drop(context, after, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[1].id, 0), 0);
}
END_TEST

START_TEST(nothing_is_written_before_start_and_after_stop)
{
	open_stream();
	sent(0);
	ck_assert_uint_eq(log_memory[0], 0xeeeeeeeeeeeeeeee);
	start();
	ck_assert_int_eq(zcreq_trace_stop(context), 0);
	proven();
	zcreq_turn(context, 1);
	zcreq_trace_mark(context, "m");
	ck_assert_uint_eq(header()->written, 0);
	ck_assert_int_eq(zcreq_trace_stop(context), -ENOENT);
}
END_TEST

struct sink {
	char bytes[2 * LOG_BYTES];
	size_t len;
	unsigned calls, fail_at;
};

static int take(const void *bytes, size_t len, void *arg)
{
	struct sink *sink = arg;

	if (++sink->calls == sink->fail_at)
		return -ENOSPC;
	CLAIM(sink->len + len <= sizeof(sink->bytes));
	memcpy(sink->bytes + sink->len, bytes, len);
	sink->len += len;
	return 0;
}

START_TEST(a_dump_is_the_memory_as_far_as_it_is_used)
{
	static struct sink sink;

	start();
	ck_assert_int_eq(zcreq_trace_dump(context, take, &sink), 0);
	ck_assert_uint_eq(sink.len, 64);
	for (unsigned i = 0; i < EVENTS + 1; i++) {
		zcreq_trace_mark(context, "m");
		sink.len = 0;
		ck_assert_int_eq(zcreq_trace_dump(context, take, &sink), 0);
		ck_assert_uint_eq(sink.len, 64 + 32 * (i < EVENTS ? i + 1 : EVENTS));
		ck_assert_int_eq(memcmp(sink.bytes, log_memory, sink.len), 0);
	}
}
END_TEST

START_TEST(a_dump_ends_with_the_first_error)
{
	static struct sink sink;

	start();
	zcreq_trace_mark(context, "m");
	sink.fail_at = _i;
	ck_assert_int_eq(zcreq_trace_dump(context, take, &sink), -ENOSPC);
	ck_assert_uint_eq(sink.calls, _i);
}
END_TEST

/* There only if the library has probes. */
extern unsigned short zcreq_open_semaphore __attribute__((weak, visibility("hidden")));

START_TEST(a_tracer_that_attaches_is_noticed_by_the_next_turn)
{
	if (!&zcreq_open_semaphore) {
		printf("not asked: built without sys/sdt.h\n");
		return;
	}
	open_stream();
	zcreq_open_semaphore = 1;
	ck_assert(!context->tracing);
	sent(0);
	ck_assert(context->tracing);
	proven(); /* goes past the probes, and no log is there to be written */
	ck_assert_uint_eq(heard[0].released, 1);
	ck_assert_uint_eq(log_memory[0], 0xeeeeeeeeeeeeeeee);
	zcreq_open_semaphore = 0;
	zcreq_turn(context, 2);
	ck_assert(!context->tracing);
}
END_TEST

START_TEST(wrong_uses_are_errors)
{
	struct zcreq_trace_options o = {
		.size = sizeof(o), .memory = log_memory, .memory_bytes = LOG_BYTES,
	};
	static struct sink sink;

	ck_assert_int_eq(zcreq_trace_start(NULL, &o), -EINVAL);
	ck_assert_int_eq(zcreq_trace_start(context, NULL), -EINVAL);
	ck_assert_int_eq(start_with(NULL, LOG_BYTES, NULL), -EINVAL);
	ck_assert_int_eq(start_with((char *)log_memory + 4, LOG_BYTES, NULL), -EINVAL);
	o.size = sizeof(o) - 1;
	ck_assert_int_eq(zcreq_trace_start(context, &o), -EINVAL);
	ck_assert_int_eq(zcreq_trace_stop(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_trace_dump(context, take, &sink), -ENOENT);
	ck_assert_int_eq(zcreq_trace_dump(NULL, take, &sink), -EINVAL);
	start();
	ck_assert_int_eq(start_with(log_memory, LOG_BYTES, NULL), -EALREADY);
	ck_assert_int_eq(zcreq_trace_dump(context, NULL, &sink), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_life_is_told_in_order);
	tcase_add_test(tcase, an_abort_is_told_with_all_that_follows);
	tcase_add_test(tcase, copies_holds_and_stale_handles_are_told);
	tcase_add_test(tcase, a_drain_and_a_stall_are_told);
	tcase_add_test(tcase, every_word_of_two_sends_in_a_batch_and_a_copy);
	tcase_add_test(tcase, every_word_of_an_abort);
	tcase_add_loop_test(tcase, a_send_of_more_than_four_gigabytes_is_told_as_that, 0, 3);
	tcase_add_loop_test(tcase, a_status_that_is_too_low_is_the_lowest, 0, 3);
	tcase_add_test(tcase, a_mark_keeps_sixteen_bytes);
	tcase_add_test(tcase, the_ring_wraps_and_keeps_the_newest);
	tcase_add_test(tcase, nothing_is_overwritten_before_the_time_is_known);
	tcase_add_test(tcase, any_size_of_memory_is_used_as_far_as_it_goes);
	tcase_add_test(tcase, without_a_clock_it_is_the_time_of_the_turn);
	tcase_add_test(tcase, one_reading_of_the_clock_does_for_a_few_events_but_not_across_a_turn);
	tcase_add_test(tcase, a_reading_for_a_callback_is_not_that_of_what_follows_the_turn);
	tcase_add_test(tcase, nothing_is_written_before_start_and_after_stop);
	tcase_add_test(tcase, a_dump_is_the_memory_as_far_as_it_is_used);
	tcase_add_loop_test(tcase, a_dump_ends_with_the_first_error, 1, 3);
	tcase_add_test(tcase, a_tracer_that_attaches_is_noticed_by_the_next_turn);
	tcase_add_test(tcase, wrong_uses_are_errors);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
