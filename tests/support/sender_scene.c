/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/sender_scene.h"

#include <errno.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/suite.h"

struct counting counting;
struct zcreq_context *context;
struct script script;
struct zcreq_stream_options options;
struct zcreq_conn *conn;
struct heard_conn heard_conn;
struct heard heard[8];
uint8_t memory[8][64];

void scene_setup(void)
{
	counting_init(&counting);
	context = counting_context(&counting, 0);
	options = script_options(&script);
	options.hooks = &heard_hooks;
	options.arg = &heard_conn;
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i / 64][i % 64] = (uint8_t)(i * 31 + i / 64);
}

void open_stream(void)
{
	script_open(&script, context, &options);
	conn = script.conn;
}

/* What is still under way ends without proof to come, and the stream is freed. */
void scene_teardown(void)
{
	zcreq_conn_free(conn);
	if (script.under_way)
		script_result(&script, -ECANCELED, false);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(script.stub.closes, 1);
	ck_assert_uint_eq(script.stub.zerocopy_sends + script.stub.copied_sends +
			  script.stub.refused_sends, 0);
	counting_end(&counting, context);
}

void queue(struct heard *request, const void *data, size_t len)
{
	const struct iovec iov = {.iov_base = (void *)data, .iov_len = len};

	CLAIM(zcreq_add(context, request->id, &iov, 1, 0) == 0);
}

struct heard *request_of(unsigned n, size_t len)
{
	heard_begin(conn, &heard[n]);
	queue(&heard[n], memory[n], len);
	CLAIM(zcreq_finish(context, heard[n].id, 0) == 0);
	return &heard[n];
}

struct heard *sent(unsigned n, size_t len)
{
	request_of(n, len);
	zcreq_turn(context, 0);
	return &heard[n];
}

unsigned released(const struct heard *request)
{
	zcreq_turn(context, 0);
	return request->released;
}

struct zcreq_stats stats(void)
{
	return stats_of(context);
}
