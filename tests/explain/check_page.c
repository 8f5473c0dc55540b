/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_page.c - a context keeps a page of statistics: what is in it, when, and until when
 *
 * The memory is looked at as it is: nobody writes to it but zcreq_turn() and the calls here.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <unistd.h>

#include "support/scene.h"

#define ROOM 3
#define BEHIND 64 /* bytes behind the page, which are somebody else's */

static union {
	struct zcreq_page page;
	uint64_t words[(sizeof(struct zcreq_page) + ROOM * sizeof(struct zcreq_page_conn) + BEHIND) / 8];
	char bytes[sizeof(struct zcreq_page) + ROOM * sizeof(struct zcreq_page_conn) + BEHIND];
} memory_of_page;

static const struct zcreq_page *const page = &memory_of_page.page;
static const struct zcreq_page_conn *const records =
	(const struct zcreq_page_conn *)(&memory_of_page.page + 1);

static struct zcreq_page_options page_options(void)
{
	return (struct zcreq_page_options){
		.size = sizeof(struct zcreq_page_options),
		.memory = &memory_of_page,
		.memory_bytes = zcreq_page_bytes(ROOM),
		.name = "a program",
	};
}

static void keep(void)
{
	const struct zcreq_page_options o = page_options();

	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
}

static void setup(void)
{
	memset(&memory_of_page, 0x5a, sizeof(memory_of_page));
	scene_setup_open();
}

/* Its sequence says how often it was written. */
static unsigned written(void)
{
	ck_assert_uint_eq(page->sequence % 2, 0);
	return page->sequence / 2;
}

/* What the page says is what the library says. */
static void assert_same_stats(void)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_context_stats(context, &stats, sizeof(stats)), 0);
	ck_assert_mem_eq(&page->stats, &stats, sizeof(stats));
	ck_assert_int_eq(zcreq_conn_stats(conn, &stats, sizeof(stats)), 0);
	ck_assert_mem_eq(&records[0].stats, &stats, sizeof(stats));
}

/* A peer that has answered nothing, and sent nothing, for so long. */
static struct tcp_info gone_since(uint32_t ack_ms, uint32_t data_ms)
{
	return (struct tcp_info){
		.tcpi_state = 1, .tcpi_unacked = 1, .tcpi_bytes_sent = 64, .tcpi_retransmits = 3,
		.tcpi_last_ack_recv = ack_ms, .tcpi_last_data_recv = data_ms,
		.tcpi_snd_wnd = 65535, .tcpi_snd_mss = 1448, .tcpi_last_data_sent = ack_ms,
	};
}

/* ---- arguments ---- */

START_TEST(arguments_are_checked)
{
	struct zcreq_page_options o = page_options();

	ck_assert_int_eq(zcreq_page_keep(NULL, &o), -EINVAL);
	ck_assert_int_eq(zcreq_page_keep(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_page_stop(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_page_stop(context), -ENOENT);
	for (unsigned i = 0; i < 8; i++) {
		o = page_options();
		if (i == 0)
			o.size--;
		else if (i == 1)
			o.flags = 1;
		else if (i == 2)
			o.memory = NULL;
		else if (i == 3)
			o.memory = memory_of_page.bytes + 4;
		else if (i == 4)
			o.memory_bytes -= 4;
		else if (i == 5)
			o.memory_bytes = sizeof(struct zcreq_page) - 8;
		else if (i == 6)
			o.memory_bytes = ZCREQ_PAGE_BYTES_MOST + 8;
		else
			o.interval_ms = ZCREQ_PAGE_INTERVAL_MOST_MS + 1;
		ck_assert_int_eq(zcreq_page_keep(context, &o), -EINVAL);
	}
	o = page_options();
	memory.exhausted = true;
	ck_assert_int_eq(zcreq_page_keep(context, &o), -ENOMEM);
	memory.exhausted = false;
	ck_assert_int_eq(memory_of_page.bytes[0], 0x5a);
	keep();
	ck_assert_int_eq(zcreq_page_keep(context, &o), -EALREADY);
	scene_teardown();
}
END_TEST

/* ---- what is in it ---- */

START_TEST(the_head_says_what_it_is)
{
	keep();
	ck_assert_str_eq(page->magic, ZCREQ_PAGE_MAGIC);
	ck_assert_uint_eq(page->byte_order, ZCREQ_PAGE_BYTE_ORDER);
	ck_assert_uint_eq(page->version, ZCREQ_PAGE_VERSION);
	ck_assert_uint_eq(page->page_bytes, zcreq_page_bytes(ROOM));
	ck_assert_uint_eq(page->state, ZCREQ_PAGE_KEPT);
	ck_assert_uint_eq(page->interval_ms, ZCREQ_PAGE_INTERVAL_MS);
	ck_assert_uint_eq(page->pid, (uint32_t)getpid());
	ck_assert_str_eq(page->name, "a program");
	ck_assert_uint_ge(page->written_ns, page->started_ns);
	ck_assert_uint_ge(zcreq_now_ns(), page->written_ns);
	ck_assert_uint_eq(page->conn_count, 1);
	ck_assert_uint_eq(page->conns_seen, 1);
	ck_assert_uint_eq(page->ended_seen, 0);
	ck_assert_uint_eq(page->ended_count, 0);
	scene_teardown();
	ck_assert_int_eq(memory_of_page.bytes[zcreq_page_bytes(ROOM)], 0x5a);
}
END_TEST

START_TEST(a_name_that_is_too_long_is_cut)
{
	struct zcreq_page_options o = page_options();
	char name[2 * ZCREQ_PAGE_NAME];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	o.name = name;
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	ck_assert_uint_eq(strlen(page->name), ZCREQ_PAGE_NAME - 1);
	ck_assert_int_eq(zcreq_page_stop(context), 0);
	o.name = NULL;
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	ck_assert_str_eq(page->name, "");
	scene_teardown();
}
END_TEST

START_TEST(what_it_says_is_what_the_library_says)
{
	keep();
	zcreq_turn(context, SECOND);
	scene_begin();
	zcreq_turn(context, 3 * SECOND);
	assert_same_stats();
	ck_assert_uint_eq(records[0].number, 0);
	ck_assert_uint_eq(records[0].state, ZCREQ_CONN_OPEN);
	ck_assert_uint_eq(records[0].cause, ZCREQ_CAUSE_NONE);
	ck_assert_int_eq(records[0].status, 0);
	ck_assert_uint_eq(records[0].ended_ns, 0);
	ck_assert_str_eq(records[0].name, "");
	ck_assert_uint_eq(records[0].stats.requests_now, 1);
	ck_assert_uint_eq(records[0].stats.kernel_bytes_now, sizeof(data));
	ck_assert_uint_ge(records[0].stats.oldest_age_ns, SECOND);
	scene_finish(0);
	scene_prove();
	zcreq_turn(context, 5 * SECOND);
	assert_same_stats();
	ck_assert_uint_eq(page->stats.released, 1);
	scene_teardown();
}
END_TEST

/* The kernel is asked about a peer that owes an answer, and about no other. */
START_TEST(a_peer_is_judged_while_it_owes_something)
{
	const struct tcp_info gone = gone_since(8000, 9000);

	keep();
	zcreq_turn(context, SECOND);
	scene_begin();
	stub.info = &gone;
	zcreq_turn(context, 9 * SECOND);
	ck_assert_uint_eq(records[0].verdict, ZCREQ_STALL_VANISHED);
	ck_assert_uint_eq(records[0].quiet_ns, 8 * SECOND);
	stub.info = NULL;
	scene_finish(0);
	scene_prove();
	zcreq_turn(context, 11 * SECOND);
	ck_assert_uint_eq(records[0].verdict, 0);
	ck_assert_uint_eq(records[0].quiet_ns, 0);
	scene_teardown();
}
END_TEST

START_TEST(of_a_connection_without_a_socket_there_is_no_peer)
{
	struct zcreq_page_options o = page_options();

	memset(&memory_of_page, 0, sizeof(memory_of_page));
	scene_setup_bare();
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	heard_begin(conn, &heard);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(records[0].stats.requests_now, 1);
	ck_assert_uint_eq(records[0].verdict, 0);
	ck_assert_str_eq(records[0].name, "");
	scene_finish(0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	counting_end(&memory, context);
}
END_TEST

/* Of more connections than there is room for, those with the oldest requests. */
START_TEST(the_oldest_requests_have_the_room)
{
	static struct heard more[6];
	struct zcreq_conn *conns[6];

	keep();
	for (unsigned i = 0; i < 6; i++)
		conns[i] = scene_open_another(&options);
	/* the fourth begins first, then the second, then the sixth, then the first */
	for (unsigned i = 0; i < 4; i++) {
		const unsigned order[] = {3, 1, 5, 0};

		heard_begin(conns[order[i]], &more[order[i]]);
		zcreq_turn(context, (1 + i) * SECOND);
	}
	zcreq_turn(context, 10 * SECOND);
	ck_assert_uint_eq(page->conn_count, 7);
	ck_assert_uint_eq(page->conns_seen, ROOM);
	ck_assert_uint_eq(records[0].number, 1 + 3);
	ck_assert_uint_eq(records[1].number, 1 + 1);
	ck_assert_uint_eq(records[2].number, 1 + 5);
	for (unsigned i = 0; i < 6; i++) {
		if (more[i].id.bits)
			ck_assert_int_eq(zcreq_finish(context, more[i].id, 0), 0);
		zcreq_conn_free(conns[i]);
	}
	zcreq_turn(context, 12 * SECOND);
	ck_assert_int_eq(memory_of_page.bytes[zcreq_page_bytes(ROOM)], 0x5a);
	scene_teardown();
}
END_TEST

/* By the definition: each time the one that stands before all others that are left. */
static int first_of(const uint32_t *began_s, bool *told, int count)
{
	int first = -1;

	for (int i = 0; i < count; i++) {
		if (told[i])
			continue;
		if (first < 0 || (began_s[i] && (!began_s[first] || began_s[i] < began_s[first])))
			first = i;
	}
	told[first] = true;
	return first;
}

/* Any number of them, begun in any order, some at the same time and some not at all. */
START_TEST(they_stand_in_the_order_of_their_ages)
{
	enum { MOST = 24 };
	static uint64_t words[(sizeof(struct zcreq_page) + MOST * sizeof(struct zcreq_page_conn)) / 8];
	const struct zcreq_page *wide = (const void *)words;
	const struct zcreq_page_conn *rows = (const void *)(wide + 1);
	const uint32_t room = (uint32_t)_i % (MOST + 1);
	struct zcreq_page_options o = page_options();
	uint64_t seed = 77 + (uint64_t)_i;
	static struct heard begun[MOST];
	struct zcreq_conn *conns[MOST];
	uint32_t began_s[MOST + 1] = {0};
	bool told[MOST + 1] = {false};
	uint32_t second = 1;
	const int count = 1 + (int)(suite_random(&seed) % MOST);

	for (int i = 0; i < count; i++)
		conns[i] = scene_open_another(&options);
	for (int steps = 0; steps < count; steps++) {
		const int i = (int)(suite_random(&seed) % (uint64_t)count);

		if (!began_s[1 + i]) {
			heard_begin(conns[i], &begun[i]);
			zcreq_turn(context, second * SECOND);
			began_s[1 + i] = second;
		}
		second += suite_random(&seed) % 2;
	}
	zcreq_turn(context, 100 * SECOND);
	o.memory = words;
	o.memory_bytes = zcreq_page_bytes(room);
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	ck_assert_uint_eq(wide->conn_count, 1 + (uint32_t)count);
	ck_assert_uint_eq(wide->conns_seen, room < 1 + (uint32_t)count ? room : 1 + (uint32_t)count);
	for (uint32_t i = 0; i < wide->conns_seen; i++)
		ck_assert_int_eq((int)rows[i].number, first_of(began_s, told, 1 + count));
	for (int i = 0; i < count; i++) {
		if (began_s[1 + i])
			ck_assert_int_eq(zcreq_finish(context, begun[i].id, 0), 0);
		zcreq_conn_free(conns[i]);
	}
	zcreq_turn(context, 102 * SECOND);
	scene_teardown();
}
END_TEST

START_TEST(a_page_without_room_has_sums)
{
	struct zcreq_page_options o = page_options();

	o.memory_bytes = zcreq_page_bytes(0);
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	ck_assert_uint_eq(page->conn_count, 1);
	ck_assert_uint_eq(page->conns_seen, 0);
	ck_assert_uint_eq(page->stats.connections_now, 1);
	ck_assert_int_eq(memory_of_page.bytes[zcreq_page_bytes(0)], 0x5a);
	scene_teardown();
}
END_TEST

/* ---- when it is written ---- */

START_TEST(it_is_written_once_in_an_interval)
{
	struct zcreq_page_options o = page_options();

	o.interval_ms = 250;
	memset(&memory_of_page, 0, sizeof(memory_of_page));
	zcreq_turn(context, SECOND);
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	ck_assert_uint_eq(written(), 1);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 250 * MS);
	ck_assert_uint_eq(zcreq_turn(context, SECOND + 249 * MS), SECOND + 250 * MS);
	ck_assert_uint_eq(written(), 1);
	ck_assert_uint_eq(zcreq_turn(context, SECOND + 260 * MS), SECOND + 510 * MS);
	ck_assert_uint_eq(written(), 2);
	/* not once for each interval that was slept through */
	zcreq_turn(context, 9 * SECOND);
	ck_assert_uint_eq(written(), 3);
	scene_teardown();
}
END_TEST

/* The end of one on the stub has ended the stub. */
static struct zcreq_conn *open_one(void)
{
	struct zcreq_stream_options o = options;

	stub.state = 1;
	o.hooks = NULL;
	return scene_open_another(&o);
}

/* Somebody else's alarm is no reason to write, and is not lost. */
START_TEST(other_alarms_ring_in_between)
{
	static struct heard other;
	struct zcreq_conn *another = open_one();

	zcreq_turn(context, SECOND);
	scene_sent();
	heard_begin(another, &other);
	ck_assert_int_eq(zcreq_conn_drain(conn, 300), 0);
	ck_assert_int_eq(zcreq_conn_drain(another, 600), 0);
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 300 * MS);
	keep();
	memory_of_page.page.sequence = 0;
	ck_assert_uint_eq(zcreq_turn(context, SECOND), SECOND + 300 * MS);
	zcreq_turn(context, SECOND + 300 * MS);
	ck_assert_uint_eq(hooks.abort, 1);
	ck_assert_uint_le(zcreq_turn(context, SECOND + 300 * MS), SECOND + 600 * MS);
	ck_assert_int_eq(zcreq_conn_state(another), ZCREQ_CONN_DRAINING);
	zcreq_turn(context, SECOND + 600 * MS);
	ck_assert_int_eq(zcreq_conn_state(another), ZCREQ_CONN_ABORTING);
	ck_assert_uint_eq(page->sequence, 0);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_ne(page->sequence, 0);
	ck_assert_int_eq(zcreq_finish(context, other.id, 0), 0);
	zcreq_conn_free(another);
	scene_teardown_late();
}
END_TEST

/* ---- connections that have ended ---- */

static void abort_one(int status)
{
	struct zcreq_conn *one = open_one();

	ck_assert_int_eq(zcreq_conn_abort(one, status), 0);
	zcreq_turn(context, 0);
	zcreq_conn_free(one);
}

/* The last eight, the newest first; what ended as it should is not among them. */
START_TEST(what_ended_before_its_time_is_told)
{
	struct zcreq_conn *drained;

	keep();
	zcreq_turn(context, SECOND);
	drained = open_one();
	ck_assert_int_eq(zcreq_conn_drain(drained, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_conn_state(drained), ZCREQ_CONN_CLOSED);
	zcreq_conn_free(drained);
	zcreq_conn_free(open_one());
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(page->ended_count, 0);
	for (int i = 0; i < 11; i++) {
		abort_one(-100 - i);
		if (i == 2) {
			zcreq_turn(context, 4 * SECOND);
			ck_assert_uint_eq(page->ended_count, 3);
			ck_assert_uint_eq(page->ended_seen, 3);
			ck_assert_int_eq(page->ended[0].status, -102);
			ck_assert_int_eq(page->ended[2].status, -100);
		}
	}
	zcreq_turn(context, 6 * SECOND);
	ck_assert_uint_eq(page->ended_count, 11);
	ck_assert_uint_eq(page->ended_seen, ZCREQ_PAGE_ENDED);
	for (int i = 0; i < ZCREQ_PAGE_ENDED; i++) {
		ck_assert_int_eq(page->ended[i].status, -110 + i);
		ck_assert_uint_eq(page->ended[i].cause, ZCREQ_CAUSE_ABORTED);
		ck_assert_uint_eq(page->ended[i].state, ZCREQ_CONN_CLOSED);
		ck_assert_uint_ge(page->ended[i].ended_ns, page->started_ns);
		ck_assert_uint_ge(page->written_ns, page->ended[i].ended_ns);
	}
	scene_teardown();
}
END_TEST

/* Its verdict stays with a connection to the end, and its request is in the quarantine. */
START_TEST(a_vanished_peer_is_seen_to_the_end)
{
	const struct tcp_info gone = gone_since(5000, 5000);

	options.stall_ms = 2000;
	options.linger_ms = 1000;
	scene_open();
	keep();
	zcreq_turn(context, SECOND);
	scene_begin();
	scene_finish(0);
	stub.info = &gone;
	stub.keeps = true;
	for (unsigned s = 2; s < 10; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_uint_eq(records[0].state, ZCREQ_CONN_QUARANTINED);
	ck_assert_uint_eq(records[0].cause, ZCREQ_CAUSE_VANISHED);
	ck_assert_uint_eq(records[0].verdict, ZCREQ_STALL_VANISHED);
	ck_assert_int_eq(records[0].status, -ETIMEDOUT);
	ck_assert_uint_eq(records[0].stats.quarantined_now, 1);
	ck_assert_uint_eq(page->stats.quarantined_now, 1);
	ck_assert_uint_eq(page->ended_count, 0);
	stub_prove_all(&stub);
	for (unsigned s = 10; s < 13; s++)
		zcreq_turn(context, s * SECOND);
	ck_assert_uint_eq(page->conn_count, 0);
	ck_assert_uint_eq(page->ended_count, 1);
	ck_assert_uint_eq(page->ended[0].cause, ZCREQ_CAUSE_VANISHED);
	ck_assert_uint_eq(page->ended[0].verdict, ZCREQ_STALL_VANISHED);
	ck_assert_uint_eq(page->ended[0].stats.aborted, 1);
	ck_assert_uint_eq(page->ended[0].stats.quarantined_now, 0);
	scene_teardown();
}
END_TEST

/* ---- until when ---- */

/* Nothing of the memory is touched any more, and it can be given to another page. */
static void assert_untouched(void)
{
	struct zcreq_page before = *page;

	zcreq_turn(context, 100 * SECOND);
	ck_assert_mem_eq(page, &before, sizeof(before));
}

START_TEST(it_stops_when_it_is_told_to)
{
	unsigned before;

	keep();
	before = written();
	ck_assert_int_eq(zcreq_page_stop(context), 0);
	ck_assert_uint_eq(written(), before + 1);
	ck_assert_uint_eq(page->state, ZCREQ_PAGE_STOPPED);
	ck_assert_int_eq(zcreq_page_stop(context), -ENOENT);
	assert_untouched();
	keep();
	ck_assert_uint_eq(page->state, ZCREQ_PAGE_KEPT);
	ck_assert_uint_eq(written(), before + 2);
	scene_teardown();
}
END_TEST

START_TEST(it_stops_when_the_context_goes)
{
	keep();
	zcreq_turn(context, SECOND);
	scene_sent();
	scene_prove();
	scene_teardown();
	ck_assert_uint_eq(page->state, ZCREQ_PAGE_STOPPED);
	ck_assert_uint_eq(page->conn_count, 0);
	ck_assert_uint_eq(page->stats.released, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page");
	TCase *open = tcase_create("open"), *bare = tcase_create("opened by the test");
	TCase *vanished = tcase_create("vanished");

	tcase_add_checked_fixture(open, setup, NULL);
	tcase_add_test(open, arguments_are_checked);
	tcase_add_test(open, the_head_says_what_it_is);
	tcase_add_test(open, a_name_that_is_too_long_is_cut);
	tcase_add_test(open, what_it_says_is_what_the_library_says);
	tcase_add_test(open, a_peer_is_judged_while_it_owes_something);
	tcase_add_test(open, the_oldest_requests_have_the_room);
	tcase_add_loop_test(open, they_stand_in_the_order_of_their_ages, 0, 200);
	tcase_add_test(open, a_page_without_room_has_sums);
	tcase_add_test(open, it_is_written_once_in_an_interval);
	tcase_add_test(open, other_alarms_ring_in_between);
	tcase_add_test(open, what_ended_before_its_time_is_told);
	tcase_add_test(open, it_stops_when_it_is_told_to);
	tcase_add_test(open, it_stops_when_the_context_goes);
	suite_add_tcase(s, open);
	tcase_add_test(bare, of_a_connection_without_a_socket_there_is_no_peer);
	suite_add_tcase(s, bare);
	tcase_add_checked_fixture(vanished, scene_setup, NULL);
	tcase_add_test(vanished, a_vanished_peer_is_seen_to_the_end);
	suite_add_tcase(s, vanished);
	return suite_run(s);
}
