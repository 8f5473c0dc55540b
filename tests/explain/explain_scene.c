/* SPDX-License-Identifier: BSD-2-Clause */
#include "explain/explain_scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "support/counting.h"
#include "support/suite.h"
#include "support/wellformed.h"

static struct counting memory;
struct zcreq_context *context;
struct stub stub;
struct tcp_info info;
struct zcreq_socket_ops ops;
struct zcreq_conn *conn;
struct heard heard[64];
char data[65536];
char text[ZCREQ_EXPLAIN_MAX];
static uint64_t now_ms;
socklen_t info_bytes;

static int tell_info(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	if (level != IPPROTO_TCP)
		return stub_ops.getsockopt(fd, level, name, value, len, arg);
	if (*len > info_bytes)
		*len = info_bytes;
	memcpy(value, &info, *len);
	return 0;
}

void turn_at(uint64_t ms)
{
	now_ms = ms;
	zcreq_turn(context, ms * MS);
}

void scene_setup(void)
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
	turn_at(1000);
	ck_assert_int_eq(zcreq_stream_open(context, &o, &conn), 0);
	memset(heard, 0, sizeof(heard));
}

void scene_teardown(void)
{
	zcreq_conn_abort(conn, -ECONNRESET);
	stub_prove_all(&stub);
	for (unsigned i = 0; i < COUNT(heard); i++)
		if (zcreq_request_state(context, heard[i].id) >= 0)
			(void)!zcreq_finish(context, heard[i].id, 0);
	turn_at(now_ms + 100000);
	zcreq_conn_free(conn);
	counting_end(&memory, context);
}

void scene_reopen(const struct zcreq_stream_options *options)
{
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	stub_init(&stub);
	ck_assert_int_eq(zcreq_stream_open(context, options, &conn), 0);
}

void sent(unsigned i, size_t len)
{
	heard_begin(conn, &heard[i]);
	stub_send(conn, heard[i].id, data, len);
	ck_assert_int_eq(zcreq_finish(context, heard[i].id, 0), 0);
}

int ask(enum whom whom, enum zcreq_format format, char *to, size_t size)
{
	if (whom == REQUEST)
		return zcreq_request_explain(context, heard[0].id, format, to, size);
	if (whom == CONN)
		return zcreq_conn_explain(conn, format, to, size);
	return zcreq_context_explain(context, format, to, size);
}

void ask_in_all_sizes(enum whom whom, enum zcreq_format format)
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

static void assert_text_has(const char *words)
{
	ck_assert_msg(strstr(text, words) != NULL, "no \"%s\" in:\n%s", words, text);
}

void assert_says(enum whom whom, const char *words)
{
	ask_in_all_sizes(whom, ZCREQ_JSON);
	ask_in_all_sizes(whom, ZCREQ_TEXT);
	assert_text_has(words);
}

void assert_json_says(enum whom whom, const char *words)
{
	ask_in_all_sizes(whom, ZCREQ_TEXT);
	ask_in_all_sizes(whom, ZCREQ_JSON);
	assert_text_has(words);
}
