/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * play.c - the calls of a play, and what each of them may answer
 */
#include "faults/play.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/seeded.h"
#include "support/suite.h"

/* In words at any time, whatever has failed before. */
static void explain(struct play *play)
{
	const struct stage_request *request = play->stage.requests;
	char text[300];
	size_t size = 1 + play->fault.crossings % sizeof(text);
	int ret;

	if (play->stage.conn) {
		ret = zcreq_conn_explain(play->stage.conn, ZCREQ_TEXT, text, size);
		CLAIM(ret > 0 && strlen(text) < size);
	}
	if (request && play->stage.context) {
		ret = zcreq_request_explain(play->stage.context, request->id, ZCREQ_TEXT,
					    text, size);
		CLAIM(ret == -ESTALE || (ret > 0 && strlen(text) < size));
		CLAIM((ret == -ESTALE) == !!request->released);
	}
}

/* Has a call to be made again? -ENOMEM is for an allocation that failed inside it. */
static bool again(struct play *play, int ret)
{
	bool failed = play->fault.failed > play->seen;

	play->seen = play->fault.failed;
	/* which asks the kernel, too: not at every call, or the sweep would never end */
	if (failed)
		explain(play);
	if (ret != -ENOMEM)
		return false;
	CLAIM(failed && play->fault.what->kind == FAULT_ALLOC);
	return play->fault.times == 1;
}

/* The same of one that makes a thing without which there is no play. */
static bool again_without(struct play *play, int ret)
{
	const struct fault_error *what = play->fault.what;

	if (ret == 0)
		return false;
	CLAIM(play->fault.failed > play->seen);
	if (what->kind == FAKE_SETSOCKOPT && play->stage.options.mode == ZCREQ_MODE_ALWAYS)
		CLAIM(ret == -what->error || ret == -EOPNOTSUPP);
	else
		CLAIM(ret == -what->error);
	fault_lift(&play->fault);
	play->seen = play->fault.failed;
	return true;
}

static void open_context(struct play *play)
{
	const struct zcreq_context_options options = {
		.size = sizeof(options), .allocator = &play->fault.allocator,
	};

	while (again_without(play, zcreq_context_new(&options, &play->stage.context)))
		CLAIM(!play->stage.context && !play->stage.fault.live_blocks);
	seed_handles(play->stage.context, 1);
}

void play_open(struct play *play)
{
	struct stage *stage = &play->stage;
	uint64_t blocks;

	if (!stage->context)
		open_context(play);
	blocks = stage->fault.live_blocks;
	stage->sock = fake_socket_new(stage->kernel, &stage->knobs);
	fault_watch(&play->fault, stage->sock);
	stage->options.fd = fake_socket_fd(stage->sock);
	stage->options.socket_ops = &fake_socket_ops;
	stage->options.socket_arg = stage->sock;
	stage->options.first_id = stage->knobs.first_id;
	stage->options.flags = ZCREQ_STREAM_FIRST_ID;
	stage_choose_sender(stage);
	play->fault.opens = true;
	while (again_without(play, zcreq_stream_open(stage->context, &stage->options,
						     &stage->conn))) {
		/* the descriptor is still the caller's */
		CLAIM(!stage->conn && !stage_report(stage).closed);
		CLAIM(stage->fault.live_blocks == blocks);
	}
	play->fault.opens = false;
	play->seen = play->fault.failed;
	stage_tick(stage);
}

void play_open_bare(struct play *play)
{
	const struct zcreq_conn_options options = {
		.size = sizeof(options), .hooks = &stage_hooks, .arg = &play->stage,
	};

	open_context(play);
	/* stage_deinit() wants a socket */
	play->stage.sock = fake_socket_new(play->stage.kernel, NULL);
	CLAIM(!fake_socket_ops.close(fake_socket_fd(play->stage.sock), play->stage.sock));
	while (again_without(play, zcreq_conn_open(play->stage.context, &options,
						   &play->stage.conn)))
		CLAIM(!play->stage.conn);
}

static bool ended(const struct play *play)
{
	int state = zcreq_conn_state(play->stage.conn);

	return state != ZCREQ_CONN_OPEN && state != ZCREQ_CONN_DRAINING;
}

/* Neither the memory nor the connection is there any more. */
static bool refused(const struct play *play, int ret, int when_ended)
{
	if (ret == 0)
		return false;
	CLAIM(ret == -ENOMEM || ret == -EAGAIN || (ret == when_ended && ended(play)));
	CLAIM(ret != -EAGAIN || play->stage.options.limit_bytes);
	return true;
}

static struct play *play_of(const struct stage_request *request)
{
	return (struct play *)request->stage; /* its first member */
}

struct stage_request *play_begin(struct play *play)
{
	struct stage_request *request;
	int ret;

	if (!play->stage.conn)
		return NULL;
	request = calloc(1, sizeof(*request));
	CLAIM(request);
	request->stage = &play->stage;
	request->conn = play->stage.conn;
	request->finish_when_aborting = true;
	do
		ret = zcreq_begin(request->conn, &stage_ops, request, 0,
				  &request->id);
	while (again(play, ret));
	if (refused(play, ret, -ESHUTDOWN)) {
		free(request);
		return NULL;
	}
	request->next = play->stage.requests;
	play->stage.requests = request;
	return request;
}

void play_send(struct stage_request *request, size_t len)
{
	struct play *play;
	int ret;

	if (!request)
		return;
	play = play_of(request);
	do
		ret = stage_send(request, len);
	while (again(play, ret));
	/* an aborted one may have been finished, and be gone */
	if (ret != -ESTALE || !request->aborting)
		refused(play, ret, -ECANCELED);
}

void play_write(struct play *play, size_t len)
{
	static char bytes[8192];
	int ret;

	do
		ret = zcreq_write(play->stage.conn, bytes, len);
	while (again(play, ret));
	refused(play, ret, -ESHUTDOWN);
}

void play_finish(struct stage_request *request)
{
	int ret;

	if (!request)
		return;
	ret = zcreq_finish(request->stage->context, request->id, 0);
	CLAIM(ret == 0 || (ret == -ESTALE && request->aborting));
	again(play_of(request), ret);
}

struct stage_request *play_request(struct play *play, size_t len)
{
	struct stage_request *request = play_begin(play);

	play_send(request, len);
	play_finish(request);
	return request;
}

void play_flush(struct play *play)
{
	if (play->stage.conn)
		stage_flush(&play->stage);
	stage_run(&play->stage);
	again(play, 0);
}
