/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_explain.c - what is said to somebody who asks why
 *
 * What matters in each story is looked for; check_words.c has some as a whole.
 */
#include "support/suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "core/core.h"
#include "support/counting.h"
#include "explain/explain_scene.h"

static const Dl_info *found; /* by dladdr(3); NULL: nothing */
static bool told_where;      /* by the above, and not by the linker */

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

START_TEST(a_peer_that_has_vanished_is_told_of_as_people_would)
{
	sent(0, 60000);
	stub.room_bytes = 5536;
	sent(1, 20000);
	info.tcpi_unacked = 42;
	info.tcpi_bytes_sent = 65536;
	info.tcpi_retransmits = 1;
	info.tcpi_rtt = 700000;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 4200;
	turn_at(5200);
	assert_says(CONN, "64 KiB not ACKed, 1 retransmit, nothing heard for 4.2 s: "
			  "packets are lost, or the peer is away; next look in 800 ms");
	/* it has not been asked for that long yet, but for 4.2 s */
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 5100;
	assert_says(CONN, "nothing heard for 5.1 s: packets are lost, or the peer is away; "
			  "next look in 800 ms");
	/* asked again just now, it has the time of its path and 100 ms to answer */
	turn_at(6000);
	assert_says(CONN, "1 retransmit, nothing heard for 5.1 s: packets are lost, or the peer "
			  "is away; next look in 800 ms");
	info.tcpi_retransmits = 5;
	assert_says(CONN, "64 KiB not ACKed, 5 retransmits, nothing heard for 5.1 s: "
			  "the peer has vanished; abort in 800 ms");
	assert_says(CONN, "open, 2 requests not released");
	assert_says(CONN, "14464 bytes unsent, 65536 in the kernel in 2 batches");
	assert_says(REQUEST, "finished, 5.0 s old");
	assert_says(REQUEST, "60000 in the kernel, not ACKed");
	assert_says(REQUEST, "waits for the peer's ACK, or an abort of the connection");
	assert_says(CONTEXT, "1 connection, 2 requests not released, the oldest 5.0 s old");
	assert_says(CONTEXT, "waits for room in the socket (POLLOUT)");
}
END_TEST

/* Another stream in the place of the scene's, and what TCP_INFO says when it begins. */
static void open_again(enum zcreq_mode mode, uint32_t stall_ms, uint64_t bytes_acked,
		       uint32_t unacked)
{
	struct zcreq_stream_options o = stub_options(&stub);

	info.tcpi_bytes_acked = bytes_acked;
	info.tcpi_unacked = unacked;
	o.socket_ops = &ops;
	o.stall_ms = stall_ms;
	o.mode = mode;
	scene_reopen(&o);
}

/* The SYN counts on the side that connected (@_i 0), and not on the one that accepted (1). What was
 * on its way before the stream (2) is not told apart from what is its own. */
START_TEST(what_is_acked_is_the_first_of_what_was_sent)
{
	const uint64_t before = _i != 1;

	open_again(ZCREQ_MODE_ALWAYS, 5000, before, _i == 2);
	sent(0, 1000);
	sent(1, 1000);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 2000;
	info.tcpi_bytes_acked = before + 1500;
	assert_says(REQUEST, "1000 in the kernel, ACKed");
	assert_says(REQUEST, "waits for the notification, when the rest of its batch is ACKed");
	assert_says(CONN, "1000 in the kernel, 500 of them ACKed");
	info.tcpi_bytes_acked = before + 500;
	assert_says(REQUEST, "1000 in the kernel, 500 of them ACKed");
	info.tcpi_bytes_acked = before + 2000; /* and what is on its way is the end */
	assert_says(CONN, "0 bytes not ACKed");
	if (_i == 2) {
		info.tcpi_bytes_sent = 0; /* not counted yet */
		assert_says(CONN, "0 bytes not ACKed");
	}
	info.tcpi_unacked = 0;
	assert_says(CONN, "1000 in the kernel, ACKed");
}
END_TEST

/* Where nobody watches, the moment of the question is all there is. */
START_TEST(without_a_watchdog_a_window_that_is_closed_is_not_read_from)
{
	open_again(ZCREQ_MODE_ALWAYS, 0, 1, 0);
	sent(0, 60000);
	info.tcpi_bytes_acked = 1001;
	info.tcpi_notsent_bytes = 60000;
	info.tcpi_snd_wnd = 0;
	info.tcpi_probes = 3;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 100;
	assert_json_says(CONN, "\"verdict\":\"not_reading\"");
}
END_TEST

/* And silence counts from when something was sent, not from when the peer was heard. */
START_TEST(without_a_watchdog_a_peer_has_a_second_from_what_it_owes)
{
	open_again(ZCREQ_MODE_ALWAYS, 0, 1, 0);
	sent(0, 60000);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 60000;
	info.tcpi_rto = 200000;
	info.tcpi_retransmits = 2;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 3500;
	info.tcpi_last_data_sent = _i ? 900 : 500;
	assert_json_says(CONN, _i ? "\"verdict\":\"vanished\"" : "\"verdict\":\"congested\"");
}
END_TEST

static void assert_silent_about(const char *words)
{
	ask_in_all_sizes(CONN, ZCREQ_TEXT);
	ck_assert_msg(!strstr(text, words), "\"%s\" in:\n%s", words, text);
}

/* What was copied is nobody's memory any more, and is owed until it is ACKed. */
START_TEST(a_peer_that_owes_copies_is_told_of)
{
	open_again(ZCREQ_MODE_NEVER, 5000, 1, 0);
	assert_silent_about("ACKed");
	ck_assert_int_eq(zcreq_write(conn, data, 1000), 0);
	turn_at(1001);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 1000;
	assert_says(CONN, "1000 bytes not ACKed");
	info.tcpi_unacked = 0;
	info.tcpi_bytes_acked = 1001;
	assert_silent_about("ACKed");
}
END_TEST

/* Its descriptor is closed, whatever the socket would say. */
START_TEST(a_connection_that_was_drained_has_no_peer)
{
	open_again(ZCREQ_MODE_NEVER, 5000, 1, 0);
	ck_assert_int_eq(zcreq_write(conn, data, 1000), 0);
	turn_at(1001);
	info.tcpi_bytes_acked = 1001;
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	turn_at(1002);
	info.tcpi_state = 5; /* FIN_WAIT2 */
	turn_at(1102);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	info.tcpi_unacked = 1;
	assert_silent_about("ACKed");
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
	zcreq_turn(context, 0);
	info.tcpi_unacked = 1;
	info.tcpi_bytes_sent = 1000;
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

/* From the failure on, before any turn has heard of it, and not longer than it lasts. */
START_TEST(memory_is_short_for_as_long_as_it_is)
{
	const char *words = "no memory to send with";

	stub.send_error = -ENOBUFS;
	sent(0, 1000);
	assert_says(CONN, words);
	turn_at(1001);
	assert_says(CONN, words);
	stub.send_error = 0;
	turn_at(1011);
	assert_says(CONN, "0 bytes unsent, 1000 in the kernel");
	ask_in_all_sizes(CONN, ZCREQ_TEXT);
	ck_assert_msg(!strstr(text, words), "%s", text);
}
END_TEST

START_TEST(a_hold_is_told_with_its_age_and_its_place)
{
	zcreq_hold hold;

	heard_begin(conn, &heard[0]);
	hold = heard_take(context, &heard[0]);
	turn_at(1000);
	turn_at(4500);
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
	turn_at(2000);
	second = heard_take(context, &heard[0]);
	ck_assert_int_eq(zcreq_drop(context, first, 0), 0);
	turn_at(2000);
	turn_at(4550);
	assert_says(REQUEST, "hold of the caller, 2.5 s old");
	ask_in_all_sizes(REQUEST, ZCREQ_JSON);
	ck_assert_msg(strstr(text, "check_explain\",\"taken_at\":\"0x") != NULL, "%s", text);
	ck_assert_int_eq(zcreq_drop(context, second, 0), 0);
}
END_TEST

/* Nothing is as old as the sleep before it; nor is a hold that was taken after a drop. */
START_TEST(ages_begin_with_the_turn_after_the_call)
{
	zcreq_hold hold[2];

	stub.room_bytes = _i ? 0 : UINT64_MAX;
	heard_begin(conn, &heard[0]);
	hold[0] = heard_take(context, &heard[0]);
	hold[1] = heard_take(context, &heard[0]);
	ck_assert_int_eq(zcreq_drop(context, hold[0], 0), 0);
	hold[0] = heard_take(context, &heard[0]);
	ck_assert_int_eq(zcreq_add(context, heard[0].id, &(struct iovec){data, 1000}, 1, 0), 0);
	turn_at(3600000);
	assert_says(REQUEST, "open, 0 ms old\n  send of 1000 bytes, 0 ms old: 1000 ");
	ck_assert_msg(!strstr(text, " s old") && !strstr(text, "min old"), "%s", text);
	ck_assert_int_eq(zcreq_add(context, heard[0].id, &(struct iovec){data, 500}, 1, 0), 0);
	turn_at(3600500);
	assert_says(REQUEST, "send of 1000 bytes, 500 ms old: 1000 ");
	assert_says(REQUEST, "send of 500 bytes, 0 ms old: 500 ");
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(zcreq_drop(context, hold[i], 0), 0);
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
START_TEST(without_a_turn_the_age_is_unknown)
{
	struct counting other_memory;
	struct zcreq_context *other = counting_context(&other_memory, 0);
	struct zcreq_conn *bare;
	zcreq_id id;

	ck_assert_int_eq(zcreq_conn_open(other, NULL, &bare), 0);
	id = heard_begin(bare, &heard[0]);
	ck_assert_int_gt(zcreq_request_explain(other, id, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "open, of unknown age (no turn yet)"));
	ck_assert_int_gt(zcreq_request_explain(other, id, ZCREQ_JSON, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "\"age_ms\":null"));
	ck_assert_int_eq(zcreq_finish(other, id, 0), 0);
	zcreq_conn_free(bare);
	zcreq_turn(other, 0);
	counting_end(&other_memory, other);
}
END_TEST

/* Its owner has it still, and there is nothing to be said of it. */
START_TEST(a_connection_that_is_closed_is_not_among_those_of_its_context)
{
	assert_says(CONTEXT, "connection 0: open, 0 requests not released");
	ck_assert_ptr_nonnull(strstr(text, "1 connection, 0 requests not released; 0 in quarantine"));
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_int_gt(ask(CONTEXT, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_null(strstr(text, "connection 0"));
	assert_says(CONN, "closed, 0 requests not released, status -5 (Input/output error), "
			  "cause: aborted by the program");
}
END_TEST

/* Each by its word for programs, and by other words for people. */
START_TEST(every_cause_has_words)
{
	static const char *const names[] = {
		[ZCREQ_CAUSE_DRAINED] = "drained", [ZCREQ_CAUSE_ABORTED] = "aborted",
		[ZCREQ_CAUSE_FREED] = "freed", [ZCREQ_CAUSE_DRAIN_DEADLINE] = "drain_deadline",
		[ZCREQ_CAUSE_VANISHED] = "vanished", [ZCREQ_CAUSE_NOT_READING] = "not_reading",
		[ZCREQ_CAUSE_IDLE] = "idle", [ZCREQ_CAUSE_KERNEL_TIMEOUT] = "kernel_timeout",
		[ZCREQ_CAUSE_RESET] = "reset", [ZCREQ_CAUSE_SOCKET] = "socket",
		[ZCREQ_CAUSE_MEMORY] = "memory", [ZCREQ_CAUSE_DESCRIPTOR] = "descriptor",
		[ZCREQ_CAUSE_SENDER] = "sender",
	};
	char said[ZCREQ_CAUSE_SENDER + 1][100], wanted[60];

	ck_assert_int_gt(ask(CONN, ZCREQ_TEXT, text, sizeof(text)), 0);
	ck_assert_ptr_null(strstr(text, "cause"));
	for (uint8_t i = ZCREQ_CAUSE_DRAINED; i <= ZCREQ_CAUSE_SENDER; i++) {
		conn->cause = i;
		ck_assert_int_gt(ask(CONN, ZCREQ_TEXT, text, sizeof(text)), 0);
		ck_assert_ptr_nonnull(strstr(text, ", cause: "));
		snprintf(said[i], sizeof(said[i]), "%.60s", strstr(text, ", cause: "));
		for (unsigned before = ZCREQ_CAUSE_DRAINED; before < i; before++)
			ck_assert_str_ne(said[before], said[i]);
		ck_assert_int_gt(ask(CONN, ZCREQ_JSON, text, sizeof(text)), 0);
		snprintf(wanted, sizeof(wanted), "\"cause\":\"%s\"", names[i]);
		ck_assert_ptr_nonnull(strstr(text, wanted));
	}
	conn->cause = ZCREQ_CAUSE_NONE;
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
	turn_at(1500);
	assert_says(REQUEST, "aborted-finished, status -110 (Connection timed out)");
	assert_says(REQUEST, "the last packets to leave this machine (quarantine in 5.0 s)");
	assert_says(CONN, ", disconnected");
	turn_at(9000);
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
	turn_at(1000);
	turn_at(3000);
	heard_begin(_i ? young : old, &heard[1]);
	assert_says(CONTEXT, _i ? "connection 1: " : "connection 0: ");
	told = strstr(text, "connection ");
	ck_assert_int_eq(told[strlen("connection ")], _i ? '1' : '0');
	ck_assert_ptr_nonnull(strstr(text, _i ? "connection 0: " : "connection 1: "));
	ck_assert_int_eq(zcreq_finish(context, heard[_i].id, 0), 0);
	ck_assert_int_eq(zcreq_finish(context, heard[!_i].id, 0), 0);
	zcreq_turn(context, 0);
	zcreq_conn_free(old);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(what_is_done_waits_for_a_turn)
{
	heard_begin(conn, &heard[0]);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	assert_says(REQUEST, "waits for zcreq_turn()");
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
	zcreq_turn(context, 0);
	exit(0); /* the holds are forgotten on purpose */
}
END_TEST

START_TEST(the_longest_possible_text_is_within_the_limit)
{
	static struct zcreq_conn *many[8];
	static struct heard each[8][4];
	size_t worst = 0;

	turn_at(UINT64_MAX / MS / 2);
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
	turn_at(UINT64_MAX / MS);
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
	tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
	tcase_add_test(tcase, a_peer_that_has_vanished_is_told_of_as_people_would);
	tcase_add_loop_test(tcase, what_is_acked_is_the_first_of_what_was_sent, 0, 3);
	tcase_add_test(tcase, without_a_watchdog_a_window_that_is_closed_is_not_read_from);
	tcase_add_loop_test(tcase, without_a_watchdog_a_peer_has_a_second_from_what_it_owes, 0, 2);
	tcase_add_test(tcase, a_peer_that_owes_copies_is_told_of);
	tcase_add_test(tcase, a_connection_that_was_drained_has_no_peer);
	tcase_add_loop_test(tcase, a_kernel_that_does_not_say_what_is_acked, 0, 2);
	tcase_add_test(tcase, a_send_that_was_withdrawn_is_not_taken_for_sent_bytes);
	tcase_add_test(tcase, a_peer_that_does_not_read_is_there);
	tcase_add_test(tcase, memory_is_short_for_as_long_as_it_is);
	tcase_add_test(tcase, a_hold_is_told_with_its_age_and_its_place);
	tcase_add_loop_test(tcase, ages_begin_with_the_turn_after_the_call, 0, 2);
	tcase_add_test(tcase, only_holds_that_are_held_are_told);
	tcase_add_loop_test(tcase, the_place_of_a_hold_is_told_as_far_as_it_is_known, 0, 4);
	tcase_add_test(tcase, without_a_turn_the_age_is_unknown);
	tcase_add_test(tcase, a_connection_that_is_closed_is_not_among_those_of_its_context);
	tcase_add_test(tcase, every_cause_has_words);
	tcase_add_test(tcase, quarantine_says_what_is_awaited);
	tcase_add_loop_test(tcase, the_connection_with_the_oldest_request_is_told_of_first, 0, 2);
	tcase_add_test(tcase, what_is_done_waits_for_a_turn);
	tcase_add_test(tcase, many_of_everything_stay_within_the_limit);
	tcase_add_test(tcase, the_longest_possible_text_is_within_the_limit);
	tcase_add_test(tcase, wrong_questions_are_errors_and_write_nothing);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
