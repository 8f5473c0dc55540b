/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_top.c - what zcreq-top reads of a page, and what it shows
 *
 * The pages are files that the test writes, good ones and others. That a page is never read
 * half old and half new is tried with a writer that does nothing but write.
 */
#include "support/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "tools/samples.h"
#include "tools/top_scene.h"

#define SECOND 1000000000ull

/* ---- what is refused ---- */

static void assert_wrong(const void *bytes, size_t len, const char *words)
{
	struct pages pages;
	const char *wrong;

	top_write(bytes, len);
	wrong = top_read(&pages);
	ck_assert_ptr_nonnull(wrong);
	ck_assert_str_eq(wrong, words);
	ck_assert_uint_eq(pages.count, 0);
}

START_TEST(what_is_no_page_is_refused_in_words)
{
	static const char *const nonsense = "it contradicts itself";
	struct top_page page;
	struct pages pages;

	ck_assert_str_eq(top_read(&pages), strerror(ENOENT));
	assert_wrong("", 0, "it is too short for a page");
	page = top_page();
	assert_wrong(&page, sizeof(page.head) - 1, "it is too short for a page");
	assert_wrong(&page, sizeof(page) - 1, "it is cut short");
	page.head.magic[2] = 'x';
	assert_wrong(&page, sizeof(page), "it is no page of zcreq");
	memset(&page, 0, sizeof(page));
	assert_wrong(&page, sizeof(page), "nothing has been written to it yet");
	page = top_page();
	page.head.byte_order = 0x04030201;
	assert_wrong(&page, sizeof(page), "it is of a machine with another byte order");
	page = top_page();
	page.head.version++;
	assert_wrong(&page, sizeof(page), "its format is of another version");
	page = top_page();
	page.head.sequence++;
	assert_wrong(&page, sizeof(page), "its writer has stopped in the middle of writing");
	for (unsigned i = 0; i < 12; i++) {
		page = top_page();
		*(uint32_t *[]){
			&page.head.page_bytes, &page.head.page_bytes, &page.head.conns_seen,
			&page.head.conn_count, &page.head.ended_seen, &page.head.ended_seen,
			&page.head.state, &page.head.state, &page.head.pid, &page.head.pid,
			&page.head.interval_ms, &page.head.interval_ms,
		}[i] = (uint32_t[]){
			sizeof(page.head) - 8, sizeof(page) - 1, TOP_ROOM + 1, 1, 2, 9, 0, 3, 0,
			UINT32_MAX, 0, ZCREQ_PAGE_INTERVAL_MOST_MS + 1,
		}[i];
		page.head.ended_count = i == 5 ? 100 : page.head.ended_count;
		page.head.conn_count = i == 2 ? 100 : page.head.conn_count;
		assert_wrong(&page, sizeof(page), nonsense);
	}
}
END_TEST

/* Whatever stands there is refused, or read so that it can be shown. */
static void assert_sound(const struct top_page *page)
{
	const struct view view = {.now = TOP_NOW};
	struct pages pages;
	char *text;

	top_write(page, sizeof(*page));
	if (top_read(&pages))
		return;
	for (size_t i = 0; i < pages.conn_count; i++) {
		const struct zcreq_page_conn *conn = pages.conns[i].conn;

		CLAIM(strnlen(conn->name, ZCREQ_PAGE_NAME) < ZCREQ_PAGE_NAME);
		for (const char *at = conn->name; *at; at++)
			CLAIM(*at >= ' ' && *at <= '~');
		CLAIM(conn->state <= ZCREQ_CONN_CLOSED && conn->cause <= ZCREQ_CAUSE_SENDER);
		CLAIM(conn->verdict <= ZCREQ_STALL_CONGESTED);
		CLAIM(conn->status <= 0 && conn->status > -4096);
	}
	pages_free(&pages);
	text = top_screen(&view);
	for (const char *at = text; *at; at++)
		CLAIM(*at == '\n' || (*at >= ' ' && *at <= '~'));
	free(text);
	text = top_samples(TOP_NOW);
	samples_check(text);
	free(text);
}

/* Each field has random bytes in turn; then any bytes of the page have. */
START_TEST(a_page_of_anything_is_refused_or_sound)
{
	uint64_t state = (uint64_t)_i + 1;
	const struct top_page good = top_page();
	const size_t sequence = offsetof(struct zcreq_page, sequence);

	for (size_t at = 0; at < sizeof(good) + 500 * 8; at += 4) {
		struct top_page page = good;
		char *bytes = (char *)&page;
		size_t len = at < sizeof(good) ? 4 : 1 + suite_random(&state) % 64;
		size_t from = at < sizeof(good) ? at : suite_random(&state) % (sizeof(page) - len);

		for (size_t i = 0; i < len; i++)
			bytes[from + i] = (char)suite_random(&state);
		memcpy(bytes + sequence, (char *)&good + sequence, 4); /* it would be waited for */
		assert_sound(&page);
	}
}
END_TEST

/* ---- several pages ---- */

START_TEST(all_pages_of_a_file_are_one_program)
{
	struct top_page two[3] = {top_page(), top_page()};
	const struct view view = {.now = TOP_NOW};
	struct pages pages;
	char *text;

	two[1].conns[0].number = 7;
	two[1].conns[0].stats.oldest_age_ns = 5 * SECOND;
	two[1].head.ended[0].ended_ns += SECOND;
	/* the third is not written yet, as when a program is just beginning */
	top_write(two, sizeof(two));
	ck_assert_ptr_null(top_read(&pages));
	ck_assert_uint_eq(pages.count, 2);
	ck_assert_uint_eq(pages.conn_count, 4);
	ck_assert_uint_eq(pages.conns[0].page, 1);
	ck_assert_uint_eq(pages.conns[0].conn->number, 7);
	ck_assert_uint_eq(pages.conns[1].page, 0);
	ck_assert_uint_eq(pages.ended[0].page, 1);
	ck_assert_uint_eq(pages_sum(&pages).requests_now, 260);
	pages_free(&pages);
	text = top_screen(&view);
	ck_assert_ptr_nonnull(strstr(text, "260 in flight, the oldest 1.9 s; 3000 begun"));
	ck_assert_ptr_nonnull(strstr(text, "   1/7  10.77.0.2:51234 "));
	free(text);
	two[2].head.magic[0] = 'x';
	top_write(two, sizeof(two));
	ck_assert_str_eq(top_read(&pages), "it is no page of zcreq");
}
END_TEST

/* ---- what is shown ---- */

START_TEST(a_page_in_lines)
{
	const struct top_page page = top_page();
	const struct view view = {.now = TOP_NOW};
	char expected[2048], *text;

	snprintf(expected, sizeof(expected),
		"a \"server\", process %d, up 10 min\n"
		"requests    130 in flight, the oldest 1.9 s; 1500 begun, 125 aborted\n"
		"bytes       0 unsent, 15.6M in the kernel; 12.3G sent\n"
		"copied      3 %% of 980 calls\n"
		"verdicts    1 vanished, 0 not reading, 0 congested\n"
		"quarantine  0 requests, 0 bytes\n"
		"\n"
		"        ended before their time: 1\n"
		"     1  10.77.0.2:51230        3.2 s ago: the peer has vanished (Connection timed out), "
		"requests aborted: 125\n"
		"\n"
		"number  connection to          state       requests  oldest  unsent  kernel copied"
		"  silent  peer\n"
		"     3  10.77.0.2:51234        open             125   1.9 s       0   15.6M    0 %%"
		"   1.9 s  quiet\n"
		"     4  [2001:db8::1]:4000     draining           5    0 ms     812       0   40 %%"
		"          \n", (int)getpid());
	top_write(&page, sizeof(page));
	text = top_screen(&view);
	ck_assert_str_eq(text, expected);
	free(text);
}
END_TEST

START_TEST(what_its_peer_does_is_a_word)
{
	static const struct {
		uint32_t verdict;
		uint64_t quiet_ns;
		const char *words;
	} peers[] = {
		{ZCREQ_STALL_VANISHED, 3 * SECOND, "3.0 s  vanished\n"},
		{ZCREQ_STALL_NOT_READING, SECOND / 4, "250 ms  not reading\n"},
		{ZCREQ_STALL_CONGESTED, 30 * SECOND / 1000, "30 ms  moving\n"},
		{ZCREQ_STALL_CONGESTED, SECOND, "1.0 s  quiet\n"},
		{0, 0, "0 %          \n"},
	};
	const struct view view = {.now = TOP_NOW};
	struct top_page page = top_page();
	char *text;

	page.conns[0].verdict = peers[_i].verdict;
	page.conns[0].quiet_ns = peers[_i].quiet_ns;
	page.head.conn_count = 5;
	top_write(&page, sizeof(page));
	text = top_screen(&view);
	ck_assert_msg(strstr(text, peers[_i].words), "no \"%s\" in:\n%s", peers[_i].words, text);
	ck_assert_ptr_nonnull(strstr(text, "        and 3 more\n"));
	free(text);
}
END_TEST

/* In a terminal nothing is wider or higher than that, whatever its size is. */
START_TEST(a_terminal_of_any_size_is_not_left)
{
	struct top_page page = top_page();

	page.head.ended_seen = ZCREQ_PAGE_ENDED;
	page.head.ended_count = 100;
	page.head.conn_count = 50;
	top_write(&page, sizeof(page));
	for (unsigned height = 1; height < 30; height++) {
		struct view view = {.now = TOP_NOW, .terminal = true, .rated = true,
				    .sent_rate = 1 << 30, .height = height};

		for (view.width = 1; view.width < 130; view.width++) {
			char *text = top_screen(&view);
			unsigned lines = 1, column = 0;

			for (const char *at = text; *at; at++) {
				if (*at == '\033')
					at += strcspn(at, "mHKJ");
				else if (*at == '\n')
					lines++, column = 0;
				else
					column++;
				CLAIM(lines <= height && column <= view.width);
			}
			if (height > 20 && view.width > 80)
				CLAIM(strstr(text, "1.0G/s now") && strstr(text, "and 48 more"));
			free(text);
		}
	}
}
END_TEST

START_TEST(numbers_are_short)
{
	static const struct {
		uint64_t number;
		const char *bytes, *duration;
	} texts[] = {
		{0, "0", "0 ms"},
		{1023, "1023", "0 ms"},
		{1024, "1.0K", "0 ms"},
		{999 * SECOND / 1000, "953M", "999 ms"},
		{99 * SECOND, "92.2G", "99.0 s"},
		{100 * SECOND, "93.1G", "1 min"},
		{7199 * SECOND, "6.5T", "119 min"},
		{7200 * SECOND, "6.5T", "2 h"},
		{UINT64_MAX, "16.0E", "5124095 h"},
	};
	char text[WORD];

	for (size_t i = 0; i < COUNT(texts); i++) {
		ck_assert_str_eq(bytes_text(texts[i].number, text), texts[i].bytes);
		ck_assert_str_eq(duration_text(texts[i].number, text), texts[i].duration);
	}
}
END_TEST

/* ---- a writer that does not write ---- */

static void assert_trouble(const struct top_page *page, const char *words)
{
	const struct view view = {.now = TOP_NOW};
	char *text, expected[WORDS];

	snprintf(expected, sizeof(expected), "\n%s\n", words);
	top_write(page, sizeof(*page));
	text = top_screen(&view);
	ck_assert_msg(strstr(text, expected), "no \"%s\" in:\n%s", words, text);
	free(text);
	text = top_samples(TOP_NOW);
	ck_assert_ptr_nonnull(strstr(text, "zcreq_up{name=\"a \\\"server\\\"\",page=\"0\"} 0\n"));
	free(text);
}

START_TEST(a_page_that_is_not_written_is_told_of)
{
	struct top_page page = top_page();
	pid_t child = fork();
	char words[WORDS];

	if (!child)
		_exit(0);
	page.head.written_ns = TOP_NOW - 12 * SECOND;
	snprintf(words, sizeof(words),
		 "not written for 12.0 s: process %d is stopped, busy, or in no turn", (int)getpid());
	assert_trouble(&page, words);
	page.head.state = ZCREQ_PAGE_STOPPED;
	assert_trouble(&page, "the program has stopped its page, 12.0 s ago");
	page.head.state = ZCREQ_PAGE_KEPT;
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	page.head.pid = (uint32_t)child;
	snprintf(words, sizeof(words), "process %d is gone; this is what it wrote last, 12.0 s ago",
		 (int)child);
	assert_trouble(&page, words);
	page = top_page();
	page.head.written_ns = TOP_NOW + SECOND; /* of another boot */
	top_write(&page, sizeof(page));
	free(top_samples(TOP_NOW));
}
END_TEST

/* ---- samples ---- */

/* Each member of the statistics is a sample, but for the one that is a sum of three. */
START_TEST(all_statistics_are_samples)
{
	struct top_page page = top_page();
	uint64_t *stats = (uint64_t *)&page.head.stats;
	const size_t sum = offsetof(struct zcreq_stats, no_buffers) / 8;
	const size_t age = offsetof(struct zcreq_stats, oldest_age_ns) / 8;
	char *text, value[64];

	for (size_t i = 0; i < sizeof(page.head.stats) / 8; i++)
		stats[i] = 777000000000 + i;
	top_write(&page, sizeof(page));
	text = top_samples(TOP_NOW);
	samples_check(text);
	for (size_t i = 0; i < sizeof(page.head.stats) / 8; i++) {
		if (i == age)
			snprintf(value, sizeof(value), "} 777.%09zu\n", i);
		else
			snprintf(value, sizeof(value), "} 777000000%03zu\n", i);
		if (i == sum)
			ck_assert_ptr_null(strstr(text, value));
		else
			ck_assert_msg(strstr(text, value), "no sample has %s", value);
	}
	ck_assert_ptr_nonnull(strstr(text, "# TYPE zcreq_requests gauge\n"
		"zcreq_requests{name=\"a \\\"server\\\"\",page=\"0\"} 777000000004\n"));
	ck_assert_ptr_nonnull(strstr(text, "zcreq_connection_info{name=\"a \\\"server\\\"\",page=\"0\","
		"connection=\"3\",peer=\"10.77.0.2:51234\",state=\"open\",verdict=\"congested\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "zcreq_connection_silence_seconds{name=\"a \\\"server\\\"\","
		"page=\"0\",connection=\"3\",peer=\"10.77.0.2:51234\"} 1.900000000\n"));
	free(text);
}
END_TEST

START_TEST(the_judge_of_samples_knows_what_is_wrong)
{
	static const char *const wrong[] = {
		"a 1\n", /* no type */
		"# HELP a x\n# TYPE a gauge\na 1", /* no end of the line */
		"# HELP a x\n# TYPE a gauge\na{} x\n",
		"# HELP a x\n# TYPE a gauge\na{b=\"1} 1\n",
		"# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",
		"# HELP a x\n# TYPE a gauge\na{b=\"1\",b=\"2\"} 1\n",
		"# HELP a x\n# TYPE a gauge\na{1=\"1\"} 1\n",
		"# HELP a x\n# TYPE a gauge\na 1\na 2\n", /* twice */
		"# HELP a x\n# TYPE a counter\na 1\n",    /* _total */
		"# HELP a_total x\n# TYPE a_total gauge\na_total 1\n",
		"# HELP a x\n# TYPE a gauge\n# HELP b x\n# TYPE b gauge\nb 1\na 1\n",
		"# HELP a x\n# TYPE a gauge\na 1\n# HELP a x\n# TYPE a gauge\n",
		"# TYPE a gauge\na 1\n", /* no help */
		"# HELP a x\n# TYPE a number\na 1\n",
		"# HELP a x\n# TYPE a gauge\na 1 2 3\n",
		"\n",
	};

	for (size_t i = 0; i < COUNT(wrong); i++)
		ck_assert_msg(samples_wrong(wrong[i]) != NULL, "%s", wrong[i]);
	ck_assert_ptr_null(samples_wrong("# HELP a_total x\n# TYPE a_total counter\n"
					 "a_total{b=\"\\\\ \\\" \\n\",c=\"\"} 1.5\na_total{b=\"\"} 2\n"
					 "# HELP b x\n# TYPE b gauge\nb 1\n"));
}
END_TEST

/* ---- two processes ---- */

#define CONNS 2
#define LOOKS 500

static void ignore(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
}

/* Writes all the time. On each of two connections as many requests have begun. */
static void write_for_ever(void *memory)
{
	static const struct zcreq_request_hooks request_hooks = {.released = ignore};
	const struct zcreq_page_options o = {
		.size = sizeof(o), .memory = memory, .memory_bytes = zcreq_page_bytes(CONNS),
		.interval_ms = 1,
	};
	struct zcreq_context *context;
	struct zcreq_conn *conns[CONNS];
	uint64_t now = SECOND;
	zcreq_id id;

	if (zcreq_context_new(NULL, &context) || zcreq_page_keep(context, &o))
		_exit(99);
	for (unsigned i = 0; i < CONNS; i++)
		if (zcreq_conn_open(context, NULL, &conns[i]))
			_exit(99);
	for (;;) {
		for (unsigned i = 0; i < CONNS; i++)
			if (zcreq_begin(conns[i], &request_hooks, NULL, 0, &id) ||
			    zcreq_finish(context, id, 0))
				_exit(99);
		zcreq_turn(context, now += 2000000);
	}
}

START_TEST(a_page_is_never_half_old_and_half_new)
{
	struct pages pages;
	uint64_t last = 0;
	void *memory;
	unsigned changes = 0;
	pid_t writer;

	ck_assert_int_eq(zcreq_page_map(top_path, zcreq_page_bytes(CONNS), &memory), 0);
	writer = fork();
	if (!writer)
		write_for_ever(memory);
	for (unsigned looks = 0; looks < LOOKS || changes < 100; looks++) {
		const struct zcreq_page *head;
		const char *wrong = top_read(&pages);

		/* it has not begun, or lost its processor */
		if (wrong && (!last || strstr(wrong, "in the middle of writing")))
			continue;
		ck_assert_msg(!wrong, "%s", wrong);
		head = &pages.list[0].head;
		/* the turn that makes the first page has no connections */
		if (head->conns_seen == CONNS) {
			CLAIM(pages.list[0].conns[0].stats.begun == pages.list[0].conns[1].stats.begun);
			CLAIM(head->stats.begun == CONNS * pages.list[0].conns[0].stats.begun);
			CLAIM(head->stats.begun >= last);
			changes += head->stats.begun > last;
			last = head->stats.begun;
		}
		pages_free(&pages);
	}
	kill(writer, SIGKILL);
	ck_assert_int_eq(waitpid(writer, NULL, 0), writer);
	munmap(memory, zcreq_page_bytes(CONNS));
}
END_TEST

/* ---- the program ---- */

START_TEST(the_program_shows_once_or_says_why_not)
{
	const struct top_page page = top_page();
	static char said[65536];
	char arguments[128];

	top_write(&page, sizeof(page));
	/* its output is no terminal */
	ck_assert_int_eq(top_run(top_path, said, sizeof(said)), 0);
	ck_assert_ptr_nonnull(strstr(said, "\nrequests    130 in flight"));
	ck_assert_ptr_null(strchr(said, '\033'));
	snprintf(arguments, sizeof(arguments), "--once --interval 0.5 %s", top_path);
	ck_assert_int_eq(top_run(arguments, said, sizeof(said)), 0);
	ck_assert_ptr_nonnull(strstr(said, "10.77.0.2:51234"));
	snprintf(arguments, sizeof(arguments), "--prometheus %s", top_path);
	ck_assert_int_eq(top_run(arguments, said, sizeof(said)), 0);
	samples_check(said);
	snprintf(arguments, sizeof(arguments), "%s >/dev/full", top_path);
	ck_assert_int_eq(top_run(arguments, said, sizeof(said)), 1);
	ck_assert_int_eq(top_run("/nowhere", said, sizeof(said)), 1);
	ck_assert_str_eq(said, "zcreq-top: /nowhere: No such file or directory\n");
	ck_assert_int_eq(top_run("--help", said, sizeof(said)), 0);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(top_run((const char *[]){"", "a b", "--interval 0 a", "--interval x a",
							  "--interval 9999 a", "--what a"}[i],
					 said, sizeof(said)), 2);
		ck_assert_ptr_nonnull(strstr(said, "usage: zcreq-top "));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top");
	TCase *tcase = tcase_create("top");

	tcase_add_checked_fixture(tcase, top_setup, top_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, what_is_no_page_is_refused_in_words);
	tcase_add_loop_test(tcase, a_page_of_anything_is_refused_or_sound, 0, 2);
	tcase_add_test(tcase, all_pages_of_a_file_are_one_program);
	tcase_add_test(tcase, a_page_in_lines);
	tcase_add_loop_test(tcase, what_its_peer_does_is_a_word, 0, 5);
	tcase_add_test(tcase, a_terminal_of_any_size_is_not_left);
	tcase_add_test(tcase, numbers_are_short);
	tcase_add_test(tcase, a_page_that_is_not_written_is_told_of);
	tcase_add_test(tcase, all_statistics_are_samples);
	tcase_add_test(tcase, the_judge_of_samples_knows_what_is_wrong);
	tcase_add_test(tcase, a_page_is_never_half_old_and_half_new);
	tcase_add_test(tcase, the_program_shows_once_or_says_why_not);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
