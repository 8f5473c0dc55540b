/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/detach_scene.h"

#include <errno.h>
#include <string.h>

#include "support/suite.h"

struct exchange_asked asked;

int exchange_note(const struct iovec *lent, int count, unsigned flags, void *arg)
{
	ck_assert_ptr_eq(arg, &asked);
	ck_assert_int_gt(count, 0);
	asked.calls++;
	asked.flags = flags;
	asked.count = count;
	for (int i = 0; i < count && i < 8; i++)
		asked.lent[i] = lent[i];
	for (int i = 1; i < count; i++)
		CLAIM((char *)lent[i - 1].iov_base + lent[i - 1].iov_len < (char *)lent[i].iov_base);
	return asked.answer;
}

const struct zcreq_memory_ops exchange_noted = {.exchange = exchange_note};

static void nothing(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)status;
	(void)arg;
}

const struct zcreq_request_hooks silent = {.released = nothing};

char pages[8 * PAGE] __attribute__((aligned(PAGE)));
struct heard more[4];

void detach_setup(void)
{
	scene_setup();
	stub.keeps = true;
	options.flags |= ZCREQ_STREAM_DETACH;
	options.memory_ops = &exchange_noted;
	options.memory_arg = &asked;
	memset(&asked, 0, sizeof(asked));
}

void open_and_begin(void)
{
	scene_open();
	heard_begin(conn, &heard);
}

void send_and_abort(void)
{
	open_and_begin();
	stub_send(conn, heard.id, data, sizeof(data));
	scene_finish(0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
	ck_assert_uint_eq(heard.released, 0);
}

/* All requests are back, and the kernel has everything still. */
void expect_detached(uint64_t sends, uint64_t bytes)
{
	const struct zcreq_stats stats = stats_of(context);

	ck_assert_uint_eq(stats.proved_detached, sends);
	ck_assert_uint_eq(stats.detached_bytes_now, bytes);
}

void detach_teardown(void)
{
	stub_prove_all(&stub);
	if (conn)
		zcreq_conn_free(conn);
	conn = NULL;
	zcreq_turn(context, 100 * SECOND);
	zcreq_turn(context, 200 * SECOND);
	ck_assert_uint_eq(stats_of(context).detached_bytes_now, 0);
	counting_end(&memory, context);
}

void send_pages(struct heard *request, size_t at, size_t bytes)
{
	heard_begin(conn, request);
	stub_send(conn, request->id, pages + at, bytes);
	ck_assert_int_eq(zcreq_finish(context, request->id, 0), 0);
}

void abort_now(void)
{
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, SECOND);
}

void expect_asked(int at, size_t start, size_t bytes)
{
	ck_assert_int_gt(asked.count, at);
	ck_assert_ptr_eq(asked.lent[at].iov_base, pages + start);
	ck_assert_uint_eq(asked.lent[at].iov_len, bytes);
}
