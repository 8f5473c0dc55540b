/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_timeline.c - from the library's events to the pictures of zcreq-trace
 *
 * A story is played on two streams, dumped, and read again. What is read must be the
 * log, the lives must be those that were lived, and the pictures well formed.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "timeline.h"
#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"
#include "support/wellformed.h"

#define MANY 1000
#define EVENTS (1 << 14)
#define LOG_BYTES (sizeof(struct zcreq_trace_header) + EVENTS * sizeof(struct zcreq_trace_event))
#define MS 1000000u

static struct counting memory;
static struct zcreq_context *context;
static struct stub stubs[2];
static struct zcreq_conn *conns[2];
static struct heard heard[MANY];
static char data[4096];
static uint64_t log_memory[LOG_BYTES / 8];
static uint64_t now_ns;
static struct trace trace;
static struct lives lives;

static uint64_t clock_of_test(void)
{
	return now_ns;
}

/* Time goes on by so much, and the library hears of it. */
static void pass_ms(unsigned ms)
{
	now_ns += ms * (uint64_t)MS;
	zcreq_turn(context, now_ns);
}

static void setup(size_t log_bytes)
{
	const struct zcreq_trace_options o = {
		.size = sizeof(o), .memory = log_memory, .memory_bytes = log_bytes,
		.clock_ns = clock_of_test,
	};

	now_ns = 1000 * (uint64_t)MS;
	counting_init(&memory);
	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_trace_start(context, &o), 0);
	for (unsigned i = 0; i < 2; i++) {
		stub_init(&stubs[i]);
		conns[i] = stub_open(&stubs[i], context, NULL, NULL);
	}
	pass_ms(0);
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (zcreq_conn_state(conns[i]) <= ZCREQ_CONN_DRAINING)
			zcreq_conn_abort(conns[i], -ECONNRESET);
		stub_prove_all(&stubs[i]);
	}
	pass_ms(10000);
	zcreq_conn_free(conns[0]);
	zcreq_conn_free(conns[1]);
	counting_end(&memory, context);
	lives_free(&lives);
	trace_free(&trace);
}

static void sent(unsigned i, unsigned on)
{
	heard_begin(conns[on], &heard[i]);
	stub_send(conns[on], heard[i].id, data, sizeof(data));
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

static int write_to(const void *bytes, size_t len, void *file)
{
	return fwrite(bytes, 1, len, file) == len ? 0 : -EIO;
}

/* A dump, and what reading it says. */
static const char *read_bytes(const void *bytes, size_t len)
{
	FILE *file = tmpfile();
	const char *wrong;

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	rewind(file);
	wrong = trace_read(file, &trace);
	fclose(file);
	return wrong;
}

static void dump_and_read(void)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(zcreq_trace_dump(context, write_to, file), 0);
	rewind(file);
	ck_assert_ptr_null(trace_read(file, &trace));
	fclose(file);
	ck_assert_int_eq(lives_make(&trace, &lives), 0);
}

/* How long a life is in a phase. */
static unsigned phase_ms(size_t life, enum phase phase)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < lives.stretch_count; i++)
		if (lives.stretches[i].life == life && lives.stretches[i].phase == phase)
			ns += lives.stretches[i].to_ns - lives.stretches[i].from_ns;
	return (unsigned)(ns / MS);
}

static void assert_phases(size_t life, const unsigned ms[PHASES])
{
	for (unsigned phase = 0; phase < PHASES; phase++)
		ck_assert_msg(phase_ms(life, phase) == ms[phase], "%u ms %s, should be %u",
			      phase_ms(life, phase), phase_names[phase], ms[phase]);
}

/* Everything that can happen to a request, and how long each part of it took. */
static void play_story(void)
{
	setup(LOG_BYTES);
	heard_begin(conns[0], &heard[0]);
	pass_ms(5);
	stubs[0].room_bytes = 0;
	stub_send(conns[0], heard[0].id, data, 1000);
	pass_ms(3);
	stubs[0].room_bytes = 1000;
	zcreq_process(conns[0], POLLOUT);
	zcreq_turn(context, 0);
	pass_ms(7);
	stub_prove_all(&stubs[0]);
	zcreq_process(conns[0], POLLERR);
	zcreq_turn(context, 0);
	pass_ms(2);
	ck_assert_int_eq(zcreq_finish(context, heard[0].id, 0), 0);
	zcreq_turn(context, 0);
	stubs[0].room_bytes = UINT64_MAX;
	stubs[1].keeps = true;
	sent(1, 1);
	zcreq_trace_mark(context, "<now> & \"then\"");
	pass_ms(20);
	ck_assert_int_eq(zcreq_conn_abort(conns[1], -ETIMEDOUT), 0);
	pass_ms(1);
	pass_ms(6000);
	stub_prove_all(&stubs[1]);
	pass_ms(1000);
	sent(2, 0);
	pass_ms(4);
}

START_TEST(what_is_read_is_what_was_in_the_ring)
{
	play_story();
	dump_and_read();
	ck_assert_uint_eq(trace.count, ((struct zcreq_trace_header *)log_memory)->written);
	ck_assert_uint_eq(trace.lost, 0);
	ck_assert_int_eq(memcmp(trace.events, log_memory + 8, trace.count * sizeof(*trace.events)), 0);
	teardown();
}
END_TEST

START_TEST(lives_have_the_phases_that_were_lived)
{
	play_story();
	dump_and_read();
	ck_assert_uint_eq(lives.count, 3);
	assert_phases(0, (const unsigned[PHASES]){7, 3, 7, 0, 0});
	assert_phases(1, (const unsigned[PHASES]){0, 0, 20, 6001, 1000});
	assert_phases(2, (const unsigned[PHASES]){0, 0, 4 - 4, 0, 0});
	ck_assert(lives.lives[0].released && !lives.lives[0].aborted);
	ck_assert(lives.lives[1].released && lives.lives[1].aborted && lives.lives[1].quarantined);
	ck_assert_int_eq(lives.lives[1].status, -ETIMEDOUT);
	ck_assert(!lives.lives[2].released);
	teardown();
}
END_TEST

static struct picture picture_of_all(void)
{
	return (struct picture){
		.title = "A title with <angles> & ampersands", .from_ns = lives.from_ns,
		.to_ns = lives.to_ns, .zero_ns = lives.from_ns, .most_lanes = 1500,
	};
}

/* What a function writes to a file; to be freed. */
static char *svg_text(const struct picture *picture, size_t *len)
{
	static char *text; /* the stream keeps its address */
	FILE *file = open_memstream(&text, len);

	trace_svg(file, &trace, &lives, picture);
	fclose(file);
	return text;
}

static char *json_text(size_t *len)
{
	static char *text; /* the stream keeps its address */
	FILE *file = open_memstream(&text, len);

	trace_json(file, &trace, &lives);
	fclose(file);
	return text;
}

static void assert_pictures(void)
{
	struct picture picture = picture_of_all();
	size_t len;
	char *text = svg_text(&picture, &len);

	ck_assert(wellformed_xml(text, len));
	ck_assert_ptr_null(strstr(text, "nan"));
	ck_assert_ptr_null(strstr(text, "inf\""));
	free(text);
	text = json_text(&len);
	ck_assert(wellformed_json(text, len));
	free(text);
}

/* The rest of it waits for room after the first part has left, copied (@_i 0) or by reference. */
START_TEST(a_half_sent_request_is_queued)
{
	static const unsigned phases[2][PHASES] = {
		{ [PHASE_QUEUED] = 3 + 5 }, { [PHASE_QUEUED] = 5, [PHASE_KERNEL] = 3 },
	};
	struct stub copying;

	setup(LOG_BYTES);
	stub_init(&copying);
	if (!_i) {
		struct zcreq_stream_options o = stub_options(&copying);

		zcreq_conn_free(conns[0]);
		pass_ms(0);
		o.mode = ZCREQ_MODE_NEVER;
		ck_assert_int_eq(zcreq_stream_open(context, &o, &conns[0]), 0);
	}
	copying.room_bytes = stubs[0].room_bytes = 1000;
	sent(0, 0);
	pass_ms(3);
	stub_prove_all(&stubs[0]);
	zcreq_process(conns[0], POLLERR);
	zcreq_turn(context, 0);
	pass_ms(5);
	zcreq_trace_mark(context, "so far");
	dump_and_read();
	ck_assert_uint_eq(lives.count, 1);
	assert_phases(0, phases[_i]);
	teardown();
}
END_TEST

/* An abort and an end say why; a number from elsewhere is left out. */
START_TEST(news_of_an_end_have_its_cause)
{
	struct zcreq_trace_event event = {.kind = ZCREQ_TRACE_CLOSED};
	char before[160] = "", text[160];
	size_t len;
	char *json;

	play_story();
	dump_and_read();
	json = json_text(&len);
	ck_assert_ptr_nonnull(strstr(json, "abort: Connection timed out (by the program)"));
	free(json);
	for (event.first = ZCREQ_CAUSE_DRAINED; event.first <= ZCREQ_CAUSE_SENDER; event.first++) {
		trace_news(&event, text, sizeof(text));
		ck_assert_ptr_eq(strstr(text, "closed ("), text);
		ck_assert_str_ne(text, before);
		memcpy(before, text, sizeof(text));
	}
	for (unsigned i = 0; i < 3; i++) {
		event.first = (uint32_t[]){0, ZCREQ_CAUSE_NONE, ZCREQ_CAUSE_SENDER + 1}[i];
		trace_news(&event, text, sizeof(text));
		ck_assert_str_eq(text, "closed");
	}
	teardown();
}
END_TEST

START_TEST(the_pictures_are_well_formed)
{
	size_t len;
	struct picture picture;
	char *text;

	play_story();
	dump_and_read();
	assert_pictures();
	picture = picture_of_all();
	text = svg_text(&picture, &len);
	ck_assert_ptr_nonnull(strstr(text, "&lt;now&gt; &amp;"));
	ck_assert_ptr_nonnull(strstr(text, "3 requests in"));
	ck_assert_ptr_nonnull(strstr(text, "1 aborted, 1 in quarantine, 1 not released"));
	free(text);
	teardown();
}
END_TEST

/* Stretches in the kernel; there are no others in their path. */
static unsigned count_lanes(const char *svg)
{
	const char *at = strstr(svg, "<path class=\"p2\" stroke-width=\"0");
	unsigned lanes = 0;

	ck_assert_ptr_nonnull(at);
	while (*at != '/')
		lanes += *at++ == 'M';
	return lanes;
}

START_TEST(a_thousand_requests_have_a_thousand_lanes)
{
	struct picture picture;
	size_t len;
	char *text;

	setup(LOG_BYTES);
	for (unsigned i = 0; i < MANY; i++) {
		sent(i, i % 2);
		now_ns += MS;
	}
	zcreq_conn_abort(conns[0], -ETIMEDOUT);
	zcreq_conn_abort(conns[1], -ETIMEDOUT);
	pass_ms(3);
	dump_and_read();
	ck_assert_uint_eq(lives.count, MANY);
	assert_pictures();
	picture = picture_of_all();
	text = svg_text(&picture, &len);
	ck_assert_uint_eq(count_lanes(text), MANY);
	ck_assert_uint_lt(len, 100000);
	free(text);
	teardown();
}
END_TEST

/* Things that happen in turns, as to many connections at once, are counted, not drawn until there is
 * no more room; and what has none is told of. */
START_TEST(what_happened_is_counted_where_it_does_not_fit)
{
	struct picture picture;
	char mark[16], *text;
	size_t len;

	setup(LOG_BYTES);
	sent(0, 0);
	for (unsigned i = 0; i < 200; i++)
		zcreq_trace_mark(context, i % 2 ? "one" : "two");
	for (unsigned i = 0; i < 62 + 7 * (unsigned)_i; i++) {
		snprintf(mark, sizeof(mark), "mark %u", i);
		zcreq_trace_mark(context, mark);
	}
	pass_ms(3);
	dump_and_read();
	picture = picture_of_all();
	text = svg_text(&picture, &len);
	ck_assert_ptr_nonnull(strstr(text, "one (×100)"));
	ck_assert_ptr_nonnull(strstr(text, "two (×100)"));
	ck_assert_ptr_nonnull(strstr(text, "<title>mark 61</title>"));
	ck_assert_msg((strstr(text, "; 7 lines across are left out.") != NULL) == _i, "%s", text);
	ck_assert_msg((strstr(text, "left out") != NULL) == _i, "%s", text);
	free(text);
	teardown();
}
END_TEST

/* Lines from the left to the right of the plot, of which each is an edge of two lanes. */
static unsigned count_edges(const char *svg)
{
	unsigned edges = 0;

	while ((svg = strstr(svg, "<path class=\"line\" stroke-width=\"0.5\""))) {
		edges++;
		svg++;
	}
	return edges;
}

/* Requests of one connection after the other's, or in turns. */
START_TEST(a_line_is_between_the_lanes_of_two_connections)
{
	struct picture picture;
	size_t len;
	char *text;

	setup(LOG_BYTES);
	for (unsigned i = 0; i < 8; i++) {
		sent(i, _i ? i % 2 : i / 4);
		now_ns += MS;
	}
	dump_and_read();
	picture = picture_of_all();
	for (picture.most_lanes = 1; picture.most_lanes <= 8; picture.most_lanes++) {
		text = svg_text(&picture, &len);
		ck_assert_uint_eq(count_edges(text), picture.most_lanes > (_i ? 1 : 4));
		free(text);
	}
	teardown();
}
END_TEST

START_TEST(what_began_before_a_ring_that_wrapped_is_drawn_from_its_beginning)
{
	setup(sizeof(struct zcreq_trace_header) + 64 * sizeof(struct zcreq_trace_event));
	sent(0, 0);
	for (unsigned i = 0; i < 100; i++) {
		now_ns += MS;
		zcreq_trace_mark(context, "m");
	}
	zcreq_conn_abort(conns[0], -ETIMEDOUT);
	zcreq_turn(context, 0);
	dump_and_read();
	ck_assert_uint_gt(trace.lost, 0);
	ck_assert_uint_eq(lives.count, 1);
	ck_assert(lives.lives[0].headless && lives.lives[0].aborted);
	ck_assert_uint_eq(lives.lives[0].begun_ns, lives.from_ns);
	assert_pictures();
	teardown();
}
END_TEST

/* Marks until all places are in use: each is a millisecond after the one before. */
static struct zcreq_trace_header *full_log(void)
{
	struct zcreq_trace_header *header = (struct zcreq_trace_header *)log_memory;

	setup(sizeof(struct zcreq_trace_header) + 64 * sizeof(struct zcreq_trace_event));
	for (unsigned i = 0; i < 100; i++) {
		now_ns += MS;
		zcreq_trace_mark(context, "m");
	}
	return header;
}

static const size_t full_bytes =
	sizeof(struct zcreq_trace_header) + 64 * sizeof(struct zcreq_trace_event);

/* The newest so many events of a full log, and no others. */
static void assert_newest(uint64_t count)
{
	uint64_t first_ns = now_ns - (count - 1) * (uint64_t)MS;

	ck_assert_uint_eq(trace.count, count);
	for (uint64_t i = 0; i < count; i++)
		ck_assert_uint_eq(trace.events[i].time_ns, first_ns + i * MS);
}

/* A program that was killed while it wrote the next event: the place of the oldest has
 * the beginning of it, or all of it, and it is not counted. */
START_TEST(a_half_written_event_is_not_the_first)
{
	const struct zcreq_trace_header *header = full_log();
	struct zcreq_trace_event *next =
		(struct zcreq_trace_event *)(log_memory + 8) + header->written % header->capacity;

	next->time_ns = _i ? now_ns + MS : 0;
	ck_assert_ptr_null(read_bytes(log_memory, full_bytes));
	assert_newest(header->capacity - 1);
	ck_assert_uint_eq(trace.lost + trace.count, header->written);
	teardown();
}
END_TEST

/* The file of a program that goes on: it is what it was when @late more events have been
 * written, of which some are in the bytes that were read, and @other has changed. */
static const char *read_late(uint64_t late, uint64_t other)
{
	struct zcreq_trace_header *header = (struct zcreq_trace_header *)log_memory;
	static char buffer[2 * sizeof(log_memory)];
	struct zcreq_trace_header then = *header;
	FILE *file = tmpfile();
	const char *wrong;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(setvbuf(file, buffer, _IOFBF, sizeof(buffer)), 0);
	ck_assert_int_eq(pwrite(fileno(file), log_memory, full_bytes, 0), (ssize_t)full_bytes);
	/* the buffer has all of it now, and that is what is read */
	ck_assert_int_eq(ungetc(fgetc(file), file), 'z');
	then.written += late;
	then.capacity += other;
	ck_assert_int_eq(pwrite(fileno(file), &then, sizeof(then), 0), (ssize_t)sizeof(then));
	wrong = trace_read(file, &trace);
	fclose(file);
	return wrong;
}

START_TEST(what_was_overwritten_while_it_was_read_is_left_out)
{
	full_log();
	for (uint64_t late = 0; late < 63; late++) {
		ck_assert_ptr_null(read_late(late, 0));
		assert_newest(63 - late);
		trace_free(&trace);
	}
	ck_assert_ptr_nonnull(strstr(read_late(63, 0), "faster"));
	ck_assert_ptr_nonnull(strstr(read_late(64, 0), "faster"));
	ck_assert_ptr_nonnull(strstr(read_late(1000, 0), "faster"));
	ck_assert_ptr_nonnull(strstr(read_late((uint64_t)-1, 0), "anew"));
	ck_assert_ptr_nonnull(strstr(read_late(0, 64), "anew"));
	teardown();
}
END_TEST

START_TEST(an_empty_trace_is_a_picture_too)
{
	struct zcreq_trace_header empty = {
		.magic = ZCREQ_TRACE_MAGIC, .byte_order = ZCREQ_TRACE_BYTE_ORDER,
		.version = ZCREQ_TRACE_VERSION, .header_bytes = 64, .event_bytes = 32,
		.capacity = 16,
	};

	ck_assert_ptr_null(read_bytes(&empty, sizeof(empty)));
	ck_assert_int_eq(lives_make(&trace, &lives), 0);
	assert_pictures();
	lives_free(&lives);
	trace_free(&trace);
}
END_TEST

/* A byte of a good dump is changed, or it is cut: it is refused or drawn, never worse. */
START_TEST(a_damaged_dump_is_refused_or_drawn)
{
	uint64_t state = (uint64_t)_i + 1, damaged[2048];
	unsigned refused = 0;
	size_t len;

	play_story();
	len = 64 + 32 * ((struct zcreq_trace_header *)log_memory)->written;
	ck_assert_uint_le(len, sizeof(damaged));
	for (unsigned n = 0; n < 300; n++) {
		size_t kept = n % 3 ? len : suite_random(&state) % (len + 1);
		size_t at = suite_random(&state) % (n % 2 ? 64 : len);

		memcpy(damaged, log_memory, len);
		((uint8_t *)damaged)[at] ^= 1 << suite_random(&state) % 8;
		if (read_bytes(damaged, kept)) {
			refused++;
			continue;
		}
		CLAIM(lives_make(&trace, &lives) == 0);
		assert_pictures();
		lives_free(&lives);
		trace_free(&trace);
	}
	ck_assert_uint_gt(refused, 50);
	memset(&trace, 0, sizeof(trace));
	memset(&lives, 0, sizeof(lives));
	teardown();
}
END_TEST

START_TEST(the_judges_of_form_know_what_is_wrong)
{
	static const char *const json[] = {
		"", "{", "{}x", "{\"a\":}", "{\"a\" 1}", "[1,]", "{,}", "[01]", "[1.]", "\"\\x\"",
		"\"a", "tru", "[\"\n\"]", "{a:1}", "-",
	};
	static const char *const good[] = {
		"{}", "[]", "0", "-1.5e+3", "{\"a\":[1,{\"b\":null}],\"c\":\"\\u00e4\\\"\"}", " true ",
	};
	static const char *const xml[] = {
		"", "<a>", "<a></b>", "<a/><b/>", "<a b></a>", "<a b=\"<\"/>", "<a>&x;</a>", "<a>&</a>",
		"a", "<a b=\"1\"c=\"2\"/>", "<1/>", "<a></a",
	};

	for (size_t i = 0; i < COUNT(json); i++)
		ck_assert_msg(!wellformed_json(json[i], strlen(json[i])), "%s", json[i]);
	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(wellformed_json(good[i], strlen(good[i])), "%s", good[i]);
	for (size_t i = 0; i < COUNT(xml); i++)
		ck_assert_msg(!wellformed_xml(xml[i], strlen(xml[i])), "%s", xml[i]);
	ck_assert(wellformed_xml("<a b=\"1\"><c/>t&lt;<d>x</d></a>\n", 32));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("timeline");
	TCase *tcase = tcase_create("timeline");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, what_is_read_is_what_was_in_the_ring);
	tcase_add_test(tcase, lives_have_the_phases_that_were_lived);
	tcase_add_loop_test(tcase, a_half_sent_request_is_queued, 0, 2);
	tcase_add_test(tcase, news_of_an_end_have_its_cause);
	tcase_add_test(tcase, the_pictures_are_well_formed);
	tcase_add_test(tcase, a_thousand_requests_have_a_thousand_lanes);
	tcase_add_loop_test(tcase, what_happened_is_counted_where_it_does_not_fit, 0, 2);
	tcase_add_loop_test(tcase, a_line_is_between_the_lanes_of_two_connections, 0, 2);
	tcase_add_test(tcase, what_began_before_a_ring_that_wrapped_is_drawn_from_its_beginning);
	tcase_add_loop_test(tcase, a_half_written_event_is_not_the_first, 0, 2);
	tcase_add_test(tcase, what_was_overwritten_while_it_was_read_is_left_out);
	tcase_add_test(tcase, an_empty_trace_is_a_picture_too);
	tcase_add_loop_test(tcase, a_damaged_dump_is_refused_or_drawn, 0, 4);
	tcase_add_test(tcase, the_judges_of_form_know_what_is_wrong);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
