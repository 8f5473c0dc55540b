/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_explain.c - what is said to somebody who asks why
 *
 * On a stub whose TCP_INFO the test writes. Every story is told in both formats and into
 * buffers of every size: text is cut as snprintf(3) cuts, JSON is whole or "{}".
 */
#include "suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "core.h"
#include "counting.h"
#include "recorder.h"
#include "stub.h"
#include "wellformed.h"

#define MS (uint64_t)1000000

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct tcp_info info;
static struct zcreq_socket_ops ops;
static struct zcreq_conn *conn;
static struct heard heard[64];
static char data[65536];
static char text[ZCREQ_EXPLAIN_MAX];
static uint64_t now_ms;
static socklen_t info_bytes;   /* how much the kernel knows of info */
static const Dl_info *found;   /* by dladdr(3); NULL: nothing */
static bool told_where;        /* by the above, and not by the linker */

int __real_dladdr(const void *address, Dl_info *place);
int __wrap_dladdr(const void *address, Dl_info *place);

int __wrap_dladdr(const void *address, Dl_info *place)
{
	if (!told_where)
		return __real_dladdr(address, place);
	if (found)
		*place = *found;
	return found != NULL;
}

static int tell_info(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	if (level != IPPROTO_TCP)
		return stub_ops.getsockopt(fd, level, name, value, len, arg);
	if (*len > info_bytes)
		*len = info_bytes;
	memcpy(value, &info, *len);
	return 0;
}

static void tick_at(uint64_t ms)
{
	now_ms = ms;
	zcreq_tick(context, ms * MS);
}

static void setup(void)
{
	struct zcreq_stream_options o;

	counting_init(&memory);
	context = counting_context(&memory, 0);
	stub_init(&stub);
	ops = stub_ops;
	ops.getsockopt = tell_info;
	info = (struct tcp_info){.tcpi_state = 1, .tcpi_snd_wnd = 100000, .tcpi_snd_mss = 1448};
	info_bytes = sizeof(info);
	o = stub_options(&stub);
	o.socket_ops = &ops;
	o.stall_ms = 5000;
	tick_at(1000);
	ck_assert_int_eq(zcreq_stream_open(context, &o, &conn), 0);
	memset(heard, 0, sizeof(heard));
}

static void teardown(void)
{
	zcreq_conn_abort(conn, -ECONNRESET);
	stub_prove_all(&stub);
	for (unsigned i = 0; i < COUNT(heard); i++)
		if (zcreq_request_state(context, heard[i].id) >= 0)
			(void)!zcreq_finish(context, heard[i].id, 0);
	tick_at(now_ms + 100000);
	zcreq_conn_free(conn);
	counting_end(&memory, context);
}

static void sent(unsigned i, size_t len)
{
	heard_begin(conn, &heard[i]);
	stub_send(conn, heard[i].id, data, len);
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

enum whom { REQUEST, CONN, CONTEXT };

static int ask(enum whom whom, enum zcreq_format format, char *to, size_t size)
{
	if (whom == REQUEST)
		return zcreq_request_explain(context, heard[0].id, format, to, size);
	if (whom == CONN)
		return zcreq_conn_explain(conn, format, to, size);
	return zcreq_context_explain(context, format, to, size);
}

/* Asks in every size there is, and keeps the whole. */
static void ask_in_all_sizes(enum whom whom, enum zcreq_format format)
{
	static char cut[ZCREQ_EXPLAIN_MAX];
	int len = ask(whom, format, text, sizeof(text));

	ck_assert_int_gt(len, 0);
	ck_assert_int_lt(len, ZCREQ_EXPLAIN_MAX);
	ck_assert_uint_eq(strlen(text), len);
	CLAIM(ask(whom, format, NULL, 0) == len);
	for (int size = 1; size <= len + 2; size += 1 + size / 100) {
		memset(cut, 0x7f, (size_t)len + 3);
		CLAIM(ask(whom, format, cut, (size_t)size) == len);
		CLAIM(cut[size] == 0x7f);
		if (size > len)
			CLAIM(strcmp(cut, text) == 0);
		else if (format == ZCREQ_TEXT)
			CLAIM(strncmp(cut, text, (size_t)size - 1) == 0 && !cut[size - 1]);
		else
			CLAIM(strcmp(cut, size > 2 ? "{}" : "") == 0);
	}
	if (format == ZCREQ_JSON)
		ck_assert_msg(wellformed_json(text, (size_t)len), "%s", text);
}

static void assert_says(enum whom whom, const char *words)
{
	ask_in_all_sizes(whom, ZCREQ_JSON);
	ask_in_all_sizes(whom, ZCREQ_TEXT);
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in:\n%s", words, text);
}

START_TEST(a_peer_that_has_vanished_is_told_of_as_people_would)
{
	sent(0, 60000);
	stub.room_bytes = 5536;
	sent(1, 20000);
	info.tcpi_unacked = 42;
	info.tcpi_bytes_sent = 65536;
	info.tcpi_bytes_acked = 1;
	info.tcpi_retransmits = 5;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 4200;
	tick_at(1100);
	tick_at(5200);
	assert_says(CONN, "64 KiB not ACKed, 5 retransmits, nothing heard for 4.2 s: "
			  "packets are lost, or the peer is away; next look in 900 ms");
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 5100;
	assert_says(CONN, "nothing heard for 5.1 s: the peer has vanished; abort in 900 ms");
	assert_says(CONN, "open, 2 requests not released");
	assert_says(CONN, "14464 bytes unsent, 65536 in the kernel in 2 batches");
	assert_says(REQUEST, "finished, 4.2 s old");
	assert_says(REQUEST, "60000 in the kernel, not ACKed");
	assert_says(REQUEST, "waits for the peer's ACK, or an abort of the connection");
	assert_says(CONTEXT, "1 connection, 2 requests not released, the oldest 4.2 s old");
	assert_says(CONTEXT, "waits for room in the socket (POLLOUT)");
}
END_TEST

START_TEST(what_is_acked_is_the_first_of_what_was_sent)
{
	sent(0, 1000);
	sent(1, 1000);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 2000;
	info.tcpi_bytes_acked = 1501;
	assert_says(REQUEST, "1000 in the kernel, ACKed");
	assert_says(REQUEST, "waits for the notification, when the rest of its batch is ACKed");
	assert_says(CONN, "1000 in the kernel, 500 of them ACKed");
	info.tcpi_bytes_acked = 501;
	assert_says(REQUEST, "1000 in the kernel, 500 of them ACKed");
	info.tcpi_bytes_sent = 0; /* not counted yet */
	assert_says(CONN, "0 bytes not ACKed");
	info.tcpi_unacked = 0;
	assert_says(CONN, "1000 in the kernel, ACKed");
}
END_TEST

/* Before Linux 4.19 it cannot be worked out, so nothing is said of it. */
START_TEST(a_kernel_that_does_not_say_what_is_acked)
{
	sent(0, 1000);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 2000;
	info_bytes = offsetof(struct tcp_info, tcpi_bytes_retrans) + (_i ? 8 : 7);
	assert_says(CONN, "retransmits, nothing heard for 0 ms: the peer is there");
	ck_assert((strstr(text, "ACKed, ") != NULL) == (_i == 1));
	assert_says(REQUEST, _i ? "1000 in the kernel, not ACKed" : "1000 in the kernel\n");
	ck_assert_int_gt(ask(CONN, ZCREQ_JSON, text, sizeof(text)), 0);
	ck_assert((strstr(text, "\"unacked_bytes\":null") != NULL) == (_i == 0));
}
END_TEST

START_TEST(a_send_that_was_withdrawn_is_not_taken_for_sent_bytes)
{
	stub.room_bytes = 0;
	sent(1, 5000);
	sent(0, 1000);
	ck_assert_int_eq(zcreq_abort(context, heard[1].id, -ECANCELED), 0);
	stub.room_bytes = UINT64_MAX;
	zcreq_process(conn, POLLOUT);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 1000;
	info.tcpi_bytes_acked = 1;
	assert_says(REQUEST, "1000 in the kernel, not ACKed");
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_there)
{
	sent(0, 60000);
	info.tcpi_notsent_bytes = 60000;
	info.tcpi_snd_wnd = 0;
	info.tcpi_probes = 3;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 100;
	assert_says(CONN, "3 probes unanswered, nothing heard for 100 ms: "
			  "the peer is there and does not read");
}
END_TEST

START_TEST(a_hold_is_told_with_its_age_and_its_place)
{
	zcreq_hold hold;

	heard_begin(conn, &heard[0]);
	hold = heard_take(context, &heard[0]);
	tick_at(4500);
	assert_says(REQUEST, "open, 3.5 s old");
	assert_says(REQUEST, "hold of the caller, 3.5 s old, taken at ");
	assert_says(REQUEST, "check_explain+0x");
	assert_says(REQUEST, "waits for its owner's zcreq_finish(), the caller's zcreq_drop()");
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
}
END_TEST

/* A hold that was dropped is not taken for the one that was not. */
START_TEST(only_holds_that_are_held_are_told)
{
	zcreq_hold first, second;

	heard_begin(conn, &heard[0]);
	first = heard_take(context, &heard[0]);
	tick_at(2000);
	second = heard_take(context, &heard[0]);
	ck_assert_int_eq(zcreq_drop(context, first, 0), 0);
	tick_at(4550);
	assert_says(REQUEST, "hold of the caller, 2.5 s old");
	ask_in_all_sizes(REQUEST, ZCREQ_JSON);
	ck_assert_msg(strstr(text, "check_explain\",\"taken_at\":\"0x") != NULL, "%s", text);
	ck_assert_int_eq(zcreq_drop(context, second, 0), 0);
}
END_TEST

/* What the linker knows of the place: nothing, a file, its folder, a function. */
START_TEST(the_place_of_a_hold_is_told_as_far_as_it_is_known)
{
	static const struct {
		Dl_info found;
		const char *words;
	} rows[] = {
		{{.dli_fname = NULL}, ", taken at 0x"},
		{{.dli_fname = "program"}, ", taken at program+0x30\n"},
		{{.dli_fname = "/usr/lib/a\"b\\c.so"}, ", taken at a\"b\\c.so+0x30\n"},
		{{.dli_fname = "./it", .dli_sname = "serve"}, ", taken at it+0x30 (serve)\n"},
	};
	Dl_info answer = rows[_i].found;
	zcreq_hold hold;

	heard_begin(conn, &heard[0]);
	hold = heard_take(context, &heard[0]);
	answer.dli_fbase = (char *)((struct zcreq_hold_slot *)zcreq_slots_find(
		&context->holds, hold.bits, sizeof(struct zcreq_hold_slot)))->taker - 0x30;
	told_where = true;
	found = answer.dli_fname ? &answer : NULL;
	assert_says(REQUEST, rows[_i].words);
	ck_assert_int_eq(zcreq_drop(context, hold, 0), 0);
}
END_TEST

/* Nobody has told it the time. */
START_TEST(without_a_tick_the_age_is_unknown)
{
	struct counting other_memory;
	struct zcreq_context *other = counting_context(&other_memory, 0);
	struct zcreq_conn *bare;
	zcreq_id id;

	ck_assert_int_eq(zcreq_conn_open(other, NULL, &bare), 0);
	id = heard_begin(bare, &heard[0]);
	ck_assert_int_gt(zcreq_request_explain(other, id, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "open, of unknown age (no tick yet)"));
	ck_assert_int_gt(zcreq_request_explain(other, id, ZCREQ_JSON, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"age_ms\":null"));
	ck_assert_int_eq(zcreq_finish(other, id, 0), 0);
	zcreq_conn_free(bare);
	zcreq_dispatch(other);
	counting_end(&other_memory, other);
}
END_TEST

/* Its owner has it still, and there is nothing to be said of it. */
START_TEST(a_connection_that_is_closed_is_not_among_those_of_its_context)
{
	assert_says(CONTEXT, "connection 0: open, 0 requests not released");
	ck_assert_ptr_nonnull(strstr(text, "1 connection, 0 requests not released; 0 in quarantine"));
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_dispatch(context);
	ck_assert_int_gt(ask(CONTEXT, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_null(strstr(text, "connection 0"));
	assert_says(CONN, "closed, 0 requests not released, status -5 (Input/output error)");
}
END_TEST

START_TEST(quarantine_says_what_is_awaited)
{
	stub.keeps = true;
	sent(0, 1000);
	heard_begin(conn, &heard[1]);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	assert_says(CONN, "waits for its owner's zcreq_finish()");
	ck_assert_int_eq(zcreq_finish(context, heard[1].id, 0), 0);
	tick_at(1500);
	assert_says(REQUEST, "aborted-finished, status -110 (Connection timed out)");
	assert_says(REQUEST, "the last packets to leave this machine (quarantine in 5.0 s)");
	assert_says(CONN, ", disconnected");
	tick_at(9000);
	assert_says(REQUEST, "late proof, looked for once in a second");
	assert_says(CONTEXT, "1 in quarantine");
}
END_TEST

/* Whichever was opened first: what has waited longest is what one asks about. */
START_TEST(the_connection_with_the_oldest_request_is_told_of_first)
{
	struct zcreq_conn *young = conn, *old;
	const char *told;
	struct stub other;

	stub_init(&other);
	old = stub_open(&other, context, NULL, NULL);
	heard_begin(_i ? old : young, &heard[0]);
	tick_at(3000);
	heard_begin(_i ? young : old, &heard[1]);
	assert_says(CONTEXT, _i ? "connection 1: " : "connection 0: ");
	told = strstr(text, "connection ");
	ck_assert_int_eq(told[strlen("connection ")], _i ? '1' : '0');
	ck_assert_int_eq(zcreq_finish(context, heard[_i].id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[!_i].id, 0), 0);
	zcreq_dispatch(context);
	zcreq_conn_free(old);
	zcreq_dispatch(context);
}
END_TEST

START_TEST(what_is_done_waits_for_dispatch)
{
	heard_begin(conn, &heard[0]);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	assert_says(REQUEST, "waits for zcreq_dispatch()");
}
END_TEST

START_TEST(many_of_everything_stay_within_the_limit)
{
	static struct zcreq_conn *many[20];
	zcreq_hold holds[8];

	for (unsigned i = 0; i < COUNT(heard); i++) {
		stub_send(conn, heard_begin(conn, &heard[i]), data, 100);
		for (unsigned n = 0; n < 7; n++)
			stub_send(conn, heard[i].id, data, 100);
		for (unsigned n = 0; n < COUNT(holds); n++)
			holds[n] = heard_take(context, &heard[i]);
	}
	for (unsigned i = 0; i < COUNT(many); i++)
		ck_assert_int_eq(zcreq_conn_open(context, NULL, &many[i]), 0);
	assert_says(CONN, "and 48 more, younger");
	assert_says(CONN, "and 4 more");
	assert_says(CONTEXT, "and 60 more, younger");
	assert_says(CONTEXT, "and 13 more connections");
	(void)holds;
	for (unsigned i = 0; i < COUNT(many); i++)
		zcreq_conn_free(many[i]);
	zcreq_dispatch(context);
	exit(0); /* the holds are forgotten on purpose */
}
END_TEST

/* ---- word for word --------------------------------------------------------------- */

/* Handles and addresses are as they come. */
static void without_numbers_in_hex(char *to)
{
	const char *from = to;

	do {
		if (from[0] == '0' && from[1] == 'x') {
			from += 2 + strspn(from + 2, "0123456789abcdef");
			*to++ = '#';
		}
	} while ((*to++ = *from++));
}

static void assert_is(enum whom whom, enum zcreq_format format, const char *expected)
{
	ask_in_all_sizes(whom, format);
	without_numbers_in_hex(text);
	ck_assert_str_eq(text, expected);
}

/* Two requests: one whose second send the socket took a part of, and one behind it. */
static void play_half_sent(void)
{
	stub.room_bytes = 1200;
	heard_begin(conn, &heard[0]);
	stub_send(conn, heard[0].id, data, 1000);
	stub_send(conn, heard[0].id, data, 500);
	sent(1, 3000);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 1000;
	info.tcpi_notsent_bytes = 200;
	info.tcpi_bytes_acked = 401;
	info.tcpi_retransmits = info.tcpi_probes = 1;
	info.tcpi_last_data_recv = 70;
	info.tcpi_last_ack_recv = 90;
	tick_at(1250);
}

START_TEST(half_sent_requests_in_full)
{
	play_half_sent();
	assert_is(CONN, ZCREQ_TEXT,
		"connection 0: open, 2 requests not released\n"
		"  3300 bytes unsent, 1200 in the kernel in 2 batches (ids from 0)\n"
		"  800 bytes not ACKed, 1 retransmit, 1 probe unanswered, nothing heard for 70 "
		"ms: packets are lost, or the peer is away; next look in 5.0 s\n"
		"  request #: open, 250 ms old\n"
		"    send of 1000 bytes, 250 ms old: 1000 in the kernel, 400 of them ACKed\n"
		"    send of 500 bytes, 250 ms old: 300 unsent, 200 in the kernel, not ACKed\n"
		"    waits for its owner's zcreq_finish(), room in the socket (POLLOUT)\n"
		"  request #: finished, 250 ms old\n"
		"    send of 3000 bytes, 250 ms old: 3000 unsent\n"
		"    waits for room in the socket (POLLOUT)");
}
END_TEST

START_TEST(half_sent_requests_in_full_for_programs)
{
	play_half_sent();
	assert_is(CONTEXT, ZCREQ_JSON,
		"{\"connections\":1,\"requests\":2,\"holds\":0,\"quarantined\":0,"
		"\"stale_handles\":0,\"begun\":2,\"released\":0,\"aborted\":0,"
		"\"unsent_bytes\":3300,\"kernel_bytes\":1200,\"oldest_age_ms\":250,"
		"\"oldest_connections\":[{\"connection\":0,\"state\":\"open\","
		"\"request_count\":2,\"status\":0,\"unsent_bytes\":3300,\"kernel_bytes\":1200,"
		"\"batches\":2,\"oldest_id\":0,\"disconnected\":false,"
		"\"peer\":{\"verdict\":\"congested\",\"heard_ms\":70,\"retransmits\":1,"
		"\"probes\":1,\"window_closed\":false,\"unacked_bytes\":800,\"look_in_ms\":5000},"
		"\"requests\":[{\"request\":\"#\",\"connection\":0,\"state\":\"open\","
		"\"status\":0,\"age_ms\":250,\"send_count\":2,\"send_bytes\":1500,"
		"\"sends\":[{\"bytes\":1000,\"unsent_bytes\":0,\"kernel_bytes\":1000,"
		"\"acked_bytes\":400,\"age_ms\":250},{\"bytes\":500,\"unsent_bytes\":300,"
		"\"kernel_bytes\":200,\"acked_bytes\":0,\"age_ms\":250}],\"hold_count\":0,"
		"\"holds\":[],\"waits_for\":[\"its owner's zcreq_finish()\",\"room in the socket "
		"(POLLOUT)\"]},{\"request\":\"#\",\"connection\":0,\"state\":\"finished\","
		"\"status\":0,\"age_ms\":250,\"send_count\":1,\"send_bytes\":3000,"
		"\"sends\":[{\"bytes\":3000,\"unsent_bytes\":3000,\"kernel_bytes\":0,"
		"\"acked_bytes\":0,\"age_ms\":250}],\"hold_count\":0,\"holds\":[],"
		"\"waits_for\":[\"room in the socket (POLLOUT)\"]}]}]}");
}
END_TEST

/* A kernel before 4.19 does not say what is ACKed. */
START_TEST(a_closed_window_on_an_old_kernel_for_programs)
{
	sent(0, 1000);
	info_bytes = offsetof(struct tcp_info, tcpi_bytes_sent);
	info.tcpi_snd_wnd = 0;
	info.tcpi_notsent_bytes = 1000;
	info.tcpi_probes = 2;
	assert_is(CONN, ZCREQ_JSON,
		"{\"connection\":0,\"state\":\"open\",\"request_count\":1,\"status\":0,"
		"\"unsent_bytes\":0,\"kernel_bytes\":1000,\"batches\":1,\"oldest_id\":0,"
		"\"disconnected\":false,\"peer\":{\"verdict\":\"not_reading\",\"heard_ms\":0,"
		"\"retransmits\":0,\"probes\":2,\"window_closed\":true,\"unacked_bytes\":null,"
		"\"look_in_ms\":5000},\"requests\":[{\"request\":\"#\",\"connection\":0,"
		"\"state\":\"finished\",\"status\":0,\"age_ms\":0,\"send_count\":1,"
		"\"send_bytes\":1000,\"sends\":[{\"bytes\":1000,\"unsent_bytes\":0,"
		"\"kernel_bytes\":1000,\"age_ms\":0}],\"hold_count\":0,\"holds\":[],"
		"\"waits_for\":[\"the peer's ACK, or an abort of the connection\"]}]}");
	assert_is(CONN, ZCREQ_TEXT,
		"connection 0: open, 1 request not released\n"
		"  0 bytes unsent, 1000 in the kernel in 1 batch (ids from 0)\n"
		"  0 retransmits, 2 probes unanswered, nothing heard for 0 ms: the peer is there "
		"and does not read; next look in 5.0 s\n"
		"  request #: finished, 0 ms old\n"
		"    send of 1000 bytes, 0 ms old: 1000 in the kernel\n"
		"    waits for the peer's ACK, or an abort of the connection");
}
END_TEST

START_TEST(an_aborted_connection_in_full)
{
	stub.keeps = true;
	sent(0, 1000);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	assert_is(CONN, ZCREQ_JSON,
		"{\"connection\":0,\"state\":\"aborting\",\"request_count\":1,\"status\":-110,"
		"\"unsent_bytes\":0,\"kernel_bytes\":1000,\"batches\":1,\"oldest_id\":0,"
		"\"disconnected\":true,\"requests\":[{\"request\":\"#\",\"connection\":0,"
		"\"state\":\"aborted-finished\",\"status\":-110,\"age_ms\":0,\"send_count\":1,"
		"\"send_bytes\":1000,\"sends\":[{\"bytes\":1000,\"unsent_bytes\":0,"
		"\"kernel_bytes\":1000,\"age_ms\":0}],\"hold_count\":0,\"holds\":[],"
		"\"waits_for\":[\"the last packets to leave this machine\"]}]}");
	assert_is(CONN, ZCREQ_TEXT,
		"connection 0: aborting, 1 request not released, status -110 (Connection timed "
		"out)\n"
		"  0 bytes unsent, 1000 in the kernel in 1 batch (ids from 0), disconnected\n"
		"  request #: aborted-finished, status -110 (Connection timed out), 0 ms old\n"
		"    send of 1000 bytes, 0 ms old: 1000 in the kernel\n"
		"    waits for the last packets to leave this machine");
}
END_TEST

START_TEST(the_longest_possible_text_is_within_the_limit)
{
	static struct zcreq_conn *many[8];
	static struct heard each[8][4];
	size_t worst = 0;

	tick_at(UINT64_MAX / MS / 2);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = UINT64_MAX / 2;
	info.tcpi_retransmits = info.tcpi_probes = 255;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = UINT32_MAX;
	for (unsigned c = 0; c < COUNT(many); c++) {
		struct zcreq_stream_options o = stub_options(&stub);

		o.socket_ops = &ops;
		ck_assert_int_eq(zcreq_stream_open(context, &o, &many[c]), 0);
		for (unsigned i = 0; i < 4; i++) {
			heard_begin(many[c], &each[c][i]);
			for (unsigned n = 0; n < 5; n++) {
				stub_send(many[c], each[c][i].id, data, sizeof(data));
				heard_take(context, &each[c][i]);
			}
		}
	}
	tick_at(UINT64_MAX / MS);
	for (unsigned format = ZCREQ_TEXT; format <= ZCREQ_JSON; format++) {
		int len = zcreq_context_explain(context, format, NULL, 0);

		worst = (size_t)len > worst ? (size_t)len : worst;
	}
	/* numbers of fewer digits than there can be: a quarter of the room is left */
	ck_assert_uint_lt(worst, ZCREQ_EXPLAIN_MAX / 4 * 3);
	exit(0);
}
END_TEST

START_TEST(wrong_questions_are_errors_and_write_nothing)
{
	const zcreq_id forged = {99};
	char kept[8] = "kept";

	sent(0, 10);
	ck_assert_int_eq(zcreq_context_explain(NULL, ZCREQ_TEXT, kept, 8), -EINVAL);
	ck_assert_int_eq(zcreq_context_explain(context, 0, kept, 8), -EINVAL);
	ck_assert_int_eq(zcreq_context_explain(context, 3, kept, 8), -EINVAL);
	ck_assert_int_eq(zcreq_context_explain(context, ZCREQ_TEXT, NULL, 8), -EINVAL);
	ck_assert_int_eq(zcreq_conn_explain(conn, 0, kept, 8), -EINVAL);
	ck_assert_int_eq(zcreq_request_explain(context, heard[0].id, 9, kept, 8), -EINVAL);
	ck_assert_int_eq(zcreq_request_explain(context, forged, ZCREQ_JSON, kept, 8), -ESTALE);
	ck_assert_str_eq(kept, "kept");
	ck_assert_uint_eq(stats_of(context).stale_handles, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explain");
	TCase *tcase = tcase_create("explain");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_peer_that_has_vanished_is_told_of_as_people_would);
	tcase_add_test(tcase, what_is_acked_is_the_first_of_what_was_sent);
	tcase_add_loop_test(tcase, a_kernel_that_does_not_say_what_is_acked, 0, 2);
	tcase_add_test(tcase, a_send_that_was_withdrawn_is_not_taken_for_sent_bytes);
	tcase_add_test(tcase, a_peer_that_does_not_read_is_there);
	tcase_add_test(tcase, a_hold_is_told_with_its_age_and_its_place);
	tcase_add_test(tcase, only_holds_that_are_held_are_told);
	tcase_add_loop_test(tcase, the_place_of_a_hold_is_told_as_far_as_it_is_known, 0, 4);
	tcase_add_test(tcase, without_a_tick_the_age_is_unknown);
	tcase_add_test(tcase, a_connection_that_is_closed_is_not_among_those_of_its_context);
	tcase_add_test(tcase, quarantine_says_what_is_awaited);
	tcase_add_loop_test(tcase, the_connection_with_the_oldest_request_is_told_of_first, 0, 2);
	tcase_add_test(tcase, what_is_done_waits_for_dispatch);
	tcase_add_test(tcase, many_of_everything_stay_within_the_limit);
	tcase_add_test(tcase, half_sent_requests_in_full);
	tcase_add_test(tcase, half_sent_requests_in_full_for_programs);
	tcase_add_test(tcase, a_closed_window_on_an_old_kernel_for_programs);
	tcase_add_test(tcase, an_aborted_connection_in_full);
	tcase_add_test(tcase, the_longest_possible_text_is_within_the_limit);
	tcase_add_test(tcase, wrong_questions_are_errors_and_write_nothing);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
