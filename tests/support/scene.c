/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/scene.h"

#include <poll.h>

#include "support/suite.h"

/* Later than any time that a test asks about and any limit that begins then. */
#define LATE_S 10000
#define LATE_TURNS 10

struct counting memory;
struct zcreq_context *context;
struct stub stub;
struct zcreq_stream_options options;
struct zcreq_conn *conn;
struct heard_conn hooks;
struct heard heard;
char data[64];

static unsigned streams; /* opened on the stub */

/* ---- how it begins ---- */

void scene_setup(void)
{
	context = counting_context(&memory, 0);
	stub_init(&stub);
	options = stub_options(&stub);
	options.hooks = &heard_hooks;
	options.arg = &hooks;
}

void scene_setup_open(void)
{
	scene_setup();
	scene_open();
}

void scene_setup_bare(void)
{
	scene_setup();
	scene_open_bare();
}

struct zcreq_conn *scene_open_another(const struct zcreq_stream_options *with)
{
	struct zcreq_conn *another = NULL;

	ck_assert_int_eq(zcreq_stream_open(context, with, &another), 0);
	streams++;
	return another;
}

void scene_open(void)
{
	conn = scene_open_another(&options);
}

void scene_open_bare(void)
{
	const struct zcreq_conn_options bare = {
		.size = sizeof(bare), .hooks = &heard_hooks, .arg = &hooks,
	};

	ck_assert_int_eq(zcreq_conn_open(context, &bare, &conn), 0);
}

/* ---- what nearly every request goes through ---- */

void scene_begin(void)
{
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, data, sizeof(data));
}

void scene_finish(int status)
{
	ck_assert_int_eq(zcreq_finish(context, heard.id, status), 0);
}

void scene_sent(void)
{
	scene_begin();
	scene_finish(0);
}

void scene_queue(const struct heard *request)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	ck_assert_int_eq(zcreq_add(context, request->id, &iov, 1, 0), 0);
}

void scene_prove(void)
{
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
}

/* ---- how it ends ---- */

static void expect_all_back(void)
{
	const struct zcreq_stats stats = stats_of(context);

	ck_assert_uint_eq(heard.released, heard.id.bits != 0);
	ck_assert_uint_eq(stats.released, stats.begun);
	ck_assert_uint_eq(stats.requests_now, 0);
	ck_assert_uint_eq(stats.holds_now, 0);
	ck_assert_uint_eq(stats.connections_now, 0);
	ck_assert_uint_eq(stats.quarantined_now, 0);
	ck_assert_uint_eq(stats.quarantined_bytes_now, 0);
	ck_assert_uint_eq(stub.closes, streams);
	/* of two that share the stub, one may read when the other is closed */
	if (streams == 1)
		ck_assert_uint_eq(stub.reads_when_closed, 0);
	counting_end(&memory, context);
}

void scene_teardown(void)
{
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	expect_all_back();
}

void scene_teardown_late(void)
{
	if (heard.id.bits && !heard.released)
		(void)!zcreq_finish(context, heard.id, 0);
	stub.disconnect_error = 0;
	stub.recv_error = 0;
	stub.chatter = STUB_SILENT;
	zcreq_conn_free(conn);
	stub_prove_all(&stub);
	for (unsigned s = LATE_S; s < LATE_S + LATE_TURNS; s++)
		zcreq_turn(context, s * SECOND);
	expect_all_back();
}
