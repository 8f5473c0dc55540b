/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/script.h"

#include <string.h>

#include "support/suite.h"

static int on_submit(struct zcreq_conn *conn, const struct zcreq_submission *submission, void *arg)
{
	struct script *script = arg;
	uint64_t bytes = 0;
	int ret;

	CLAIM(zcreq_conn_state(conn) <= ZCREQ_CONN_DRAINING);
	CLAIM(!script->under_way);
	CLAIM(script->depth == 0);
	CLAIM(!script->submits || submission->id == script->id + 1);
	CLAIM(submission->iovcnt >= 1 && submission->iovcnt <= ZCREQ_SUBMISSION_IOVS);
	for (int i = 0; i < submission->iovcnt; i++)
		bytes += submission->iov[i].iov_len;
	CLAIM(bytes && bytes == submission->bytes);
	script->conn = conn;
	script->id = submission->id;
	script->bytes = bytes;
	script->by_reference = submission->by_reference;
	script->iovcnt = submission->iovcnt;
	memcpy(script->iov, submission->iov, submission->iovcnt * sizeof(*script->iov));
	script->submits++;
	script->under_way = true;
	if (!script->submitting)
		return 0;
	script->depth++;
	ret = script->submitting(script);
	script->depth--;
	if (ret)
		script->under_way = false;
	return ret;
}

static void on_cancel(struct zcreq_conn *conn, uint32_t id, void *arg)
{
	struct script *script = arg;

	CLAIM(conn == script->conn && id == script->id && script->under_way);
	CLAIM(!script->cancels++);
	if (script->cancelling)
		script->cancelling(script);
}

static void on_reap(struct zcreq_conn *conn, void *arg)
{
	struct script *script = arg;

	script->conn = conn;
	script->reaps++;
	if (script->reaping)
		script->reaping(script);
}

static void on_closed(struct zcreq_conn *conn, void *arg)
{
	struct script *script = arg;

	(void)conn;
	CLAIM(!script->closes++);
	CLAIM(!script->stub.closes);
	CLAIM(!script->under_way && !script->awaited);
}

const struct zcreq_sender_ops script_ops = {
	.submit = on_submit,
	.cancel = on_cancel,
	.reap = on_reap,
	.closed = on_closed,
};

const struct zcreq_sender_ops script_submit_only = {.submit = on_submit};

struct zcreq_stream_options script_options(struct script *script)
{
	struct zcreq_stream_options options;

	memset(script, 0, sizeof(*script));
	stub_init(&script->stub);
	options = stub_options(&script->stub);
	options.sender = &script_ops;
	options.sender_arg = script;
	return options;
}

void script_open(struct script *script, struct zcreq_context *context,
		 const struct zcreq_stream_options *options)
{
	ck_assert_int_eq(zcreq_stream_open(context, options, &script->conn), 0);
}

/* What was taken is noted now: later the memory may be another's. */
static void take(struct script *script, uint64_t bytes)
{
	for (int i = 0; i < script->iovcnt && bytes; i++) {
		uint64_t part = script->iov[i].iov_len < bytes ? script->iov[i].iov_len : bytes;

		if (script->taken + part <= SCRIPT_STREAM)
			memcpy(script->stream + script->taken, script->iov[i].iov_base, part);
		script->taken += part;
		bytes -= part;
	}
}

void script_result(struct script *script, int64_t result, bool more)
{
	if (result > 0)
		take(script, result);
	script->awaited += more;
	script->under_way = false;
	ck_assert_int_eq(zcreq_sender_result(script->conn, script->id, result, more), 0);
}

void script_proof(struct script *script, uint32_t id)
{
	const struct zcreq_proof proof = {.id = id};

	CLAIM(script->awaited);
	script->awaited--;
	CLAIM(zcreq_sender_proof(script->conn, &proof, 1) == 1);
}

void script_no_proof(struct script *script, uint32_t id)
{
	const struct zcreq_proof proof = {.id = id};

	CLAIM(zcreq_sender_proof(script->conn, &proof, 1) == 0);
}
