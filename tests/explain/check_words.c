/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_words.c - explanations word for word, for people and for programs
 */
#include "support/suite.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain/explain_scene.h"

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
	info.tcpi_bytes_acked = 400;
	info.tcpi_retransmits = info.tcpi_probes = 1;
	info.tcpi_last_data_recv = 70;
	info.tcpi_last_ack_recv = 90;
	turn_at(1250);
}

START_TEST(half_sent_requests_in_full)
{
	play_half_sent();
	assert_is(CONN, ZCREQ_TEXT,
		"connection 0: open, 2 requests not released\n"
		"  3300 bytes unsent, 1200 in the kernel in 2 batches (ids from 0)\n"
		"  800 bytes not ACKed, 1 retransmit, 1 probe unanswered, nothing heard for 70 "
		"ms: packets are lost, or the peer is away; next look in 4.7 s\n"
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
		"\"request_count\":2,\"status\":0,\"cause\":\"none\",\"unsent_bytes\":3300,\"kernel_bytes\":1200,"
		"\"batches\":2,\"oldest_id\":0,\"disconnected\":false,"
		"\"peer\":{\"verdict\":\"congested\",\"heard_ms\":70,\"retransmits\":1,"
		"\"probes\":1,\"window_closed\":false,\"unacked_bytes\":800,\"look_in_ms\":4750},"
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
		"\"cause\":\"none\","
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

START_TEST(a_connection_without_a_watchdog_in_full)
{
	struct zcreq_stream_options o = stub_options(&stub);

	scene_reopen(&o);
	sent(0, 1000);
	assert_is(CONN, ZCREQ_TEXT,
		"connection 1: open, 1 request not released\n"
		"  0 bytes unsent, 1000 in the kernel in 1 batch (ids from 0)\n"
		"  0 bytes not ACKed, 0 retransmits, nothing heard for 0 ms: the peer is there; "
		"no watchdog\n"
		"  request #: finished, 0 ms old\n"
		"    send of 1000 bytes, 0 ms old: 1000 in the kernel, ACKed\n"
		"    waits for the notification, when the rest of its batch is ACKed");
	assert_is(CONN, ZCREQ_JSON,
		"{\"connection\":1,\"state\":\"open\",\"request_count\":1,\"status\":0,"
		"\"cause\":\"none\","
		"\"unsent_bytes\":0,\"kernel_bytes\":1000,\"batches\":1,\"oldest_id\":0,"
		"\"disconnected\":false,\"peer\":{\"verdict\":\"congested\",\"heard_ms\":0,"
		"\"retransmits\":0,\"probes\":0,\"window_closed\":false,\"unacked_bytes\":0,"
		"\"look_in_ms\":null},\"requests\":[{\"request\":\"#\",\"connection\":1,"
		"\"state\":\"finished\",\"status\":0,\"age_ms\":0,\"send_count\":1,"
		"\"send_bytes\":1000,\"sends\":[{\"bytes\":1000,\"unsent_bytes\":0,"
		"\"kernel_bytes\":1000,\"acked_bytes\":1000,\"age_ms\":0}],\"hold_count\":0,"
		"\"holds\":[],\"waits_for\":[\"the notification, when the rest of its batch is "
		"ACKed\"]}]}");
}
END_TEST

START_TEST(an_aborted_connection_in_full)
{
	stub.keeps = true;
	sent(0, 1000);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ETIMEDOUT), 0);
	assert_is(CONN, ZCREQ_JSON,
		"{\"connection\":0,\"state\":\"aborting\",\"request_count\":1,\"status\":-110,"
		"\"cause\":\"aborted\","
		"\"unsent_bytes\":0,\"kernel_bytes\":1000,\"batches\":1,\"oldest_id\":0,"
		"\"disconnected\":true,\"requests\":[{\"request\":\"#\",\"connection\":0,"
		"\"state\":\"aborted-finished\",\"status\":-110,\"age_ms\":0,\"send_count\":1,"
		"\"send_bytes\":1000,\"sends\":[{\"bytes\":1000,\"unsent_bytes\":0,"
		"\"kernel_bytes\":1000,\"age_ms\":0}],\"hold_count\":0,\"holds\":[],"
		"\"waits_for\":[\"the last packets to leave this machine\"]}]}");
	assert_is(CONN, ZCREQ_TEXT,
		"connection 0: aborting, 1 request not released, status -110 (Connection timed "
		"out), cause: aborted by the program\n"
		"  0 bytes unsent, 1000 in the kernel in 1 batch (ids from 0), disconnected\n"
		"  request #: aborted-finished, status -110 (Connection timed out), 0 ms old\n"
		"    send of 1000 bytes, 0 ms old: 1000 in the kernel\n"
		"    waits for the last packets to leave this machine");
}
END_TEST

/* Its words; a line may be broken anywhere between them. */
static void with_single_blanks(char *to)
{
	const char *from = to + strspn(to, " \n");

	while (*from) {
		size_t len = strcspn(from, " \n");
		size_t blanks = strspn(from + len, " \n");

		memmove(to, from, len);
		to += len;
		from += len + blanks;
		if (*from)
			*to++ = ' ';
	}
	*to = '\0';
}

/* The lines that the comment at the top of explain.h sets off with a tabulator. */
static void shown_by_header(char *to, size_t size)
{
	const char *srcdir = getenv("srcdir");
	char name[4096], line[256];
	size_t len = 0;
	FILE *file;

	snprintf(name, sizeof(name), "%s/include/zcreq/explain.h", srcdir ? srcdir : ".");
	file = fopen(name, "r");
	ck_assert_msg(file != NULL, "%s cannot be read", name);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, " *\t", 3) != 0)
			continue;
		ck_assert_uint_lt(len + strlen(line), size);
		len += (size_t)snprintf(to + len, size - len, "%s", line + 3);
	}
	fclose(file);
	ck_assert_uint_gt(len, 0);
}

START_TEST(what_the_header_shows_is_what_is_said)
{
	static char shown[4096];

	sent(0, 131072);
	info.tcpi_unacked = 91;
	info.tcpi_bytes_sent = 131072;
	info.tcpi_retransmits = 1;
	info.tcpi_rtt = 700000;
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 4200;
	turn_at(5200);
	info.tcpi_last_ack_recv = info.tcpi_last_data_recv = 5000;
	turn_at(6000);
	info.tcpi_retransmits = 5;
	ask_in_all_sizes(CONN, ZCREQ_TEXT);
	without_numbers_in_hex(text);
	with_single_blanks(text);
	shown_by_header(shown, sizeof(shown));
	without_numbers_in_hex(shown);
	with_single_blanks(shown);
	ck_assert_str_eq(shown, text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explain_words");
	TCase *tcase = tcase_create("words");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, scene_setup, scene_teardown);
	tcase_add_test(tcase, half_sent_requests_in_full);
	tcase_add_test(tcase, half_sent_requests_in_full_for_programs);
	tcase_add_test(tcase, a_closed_window_on_an_old_kernel_for_programs);
	tcase_add_test(tcase, a_connection_without_a_watchdog_in_full);
	tcase_add_test(tcase, an_aborted_connection_in_full);
	tcase_add_test(tcase, what_the_header_shows_is_what_is_said);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
