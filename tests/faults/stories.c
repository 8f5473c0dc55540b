/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stories.c - the plays: each a way that a connection can live, or end
 */
#include "faults/play.h"

#include <errno.h>
#include <string.h>

#include "support/suite.h"

/* Begin to released with all that there is in between, then the graceful end. */
static void set_delivered(struct stage *stage)
{
	stage->options.stall_ms = 1000;
	stage->options.user_timeout_ms = 5000;
}

static bool take(struct stage_request *request, zcreq_hold *hold)
{
	struct play *play = (struct play *)request->stage;
	unsigned before = play->fault.failed;
	int ret = zcreq_take(play->stage.context, request->id, hold);

	CLAIM(ret == 0 || (ret == -ENOMEM && play->fault.failed > before) ||
	      (ret == -ECANCELED && !request->aborting) || (ret == -ESTALE && request->aborting));
	if (ret == -ENOMEM && play->fault.times == 1)
		ret = zcreq_take(play->stage.context, request->id, hold);
	return ret == 0;
}

static void act_delivered(struct play *play)
{
	struct stage *stage = &play->stage;
	struct stage_request *first, *second;
	zcreq_hold hold;
	bool held;

	play_open(play);
	first = play_begin(play);
	held = first && take(first, &hold);
	play_send(first, 5000);
	play_write(play, 24);
	play_send(first, 100);
	play_finish(first);
	second = play_request(play, 3000);
	play_flush(play);
	fake_socket_post_timestamp(stage->sock, 20);
	fake_socket_ack(stage->sock, 2000);
	play_flush(play);
	stage_wait_ms(stage, 30);
	fake_socket_ack(stage->sock, FAKE_NEVER);
	play_flush(play);
	CLAIM(!held || !first->released);
	if (held)
		CLAIM(zcreq_drop(stage->context, hold, 0) == 0);
	play_request(play, 700);
	(void)!zcreq_conn_drain(stage->conn, 0);
	play_flush(play);
	stage_ack_all(stage);
	stage_wait_ms(stage, 50);
	if (!play->fault.failed)
		CLAIM(first->released && second->released && stage->closes == 1 &&
		      stage->messages == 1);
}

/* Some in the kernel, some not: abort. */
static void set_aborted(struct stage *stage)
{
	stage->knobs.sndbuf_bytes = 6000;
	stage->knobs.cwnd_bytes = 2000;
}

static void act_aborted(struct play *play)
{
	unsigned i;

	play_open(play);
	for (i = 0; i < 10; i++)
		play_request(play, 1000);
	play_begin(play);
	play_flush(play);
	fake_socket_ack(play->stage.sock, 500);
	play->own_status = -EPIPE;
	(void)!zcreq_conn_abort(play->stage.conn, -EPIPE);
	stage_run(&play->stage);
	/* one refusal is not enough to make it wait for time */
	if (!play->fault.failed ||
	    (play->fault.what->kind == FAKE_DISCONNECT && play->fault.times == 1))
		CLAIM(stage_stats(&play->stage).requests_now == 0);
	stage_wait_ms(&play->stage, 20);
}

/* The kernel refuses to disconnect at first. */
static void set_refused(struct stage *stage)
{
	stage->knobs.disconnect_busy = 3;
	stage->options.linger_ms = 100;
}

static void act_refused(struct play *play)
{
	play_open(play);
	play_request(play, 1000);
	play_flush(play);
	play->own_status = -EIO;
	(void)!zcreq_conn_abort(play->stage.conn, -EIO);
	stage_wait_ms(&play->stage, 300);
}

/* It never lets go of some, until late: quarantine. */
static void set_quarantined(struct stage *stage)
{
	stage->knobs.qdisc_bytes = 1500;
	stage->knobs.qdisc_ms = FAKE_NEVER;
	stage->options.linger_ms = 50;
}

static void act_quarantined(struct play *play)
{
	struct stage_request *request;

	play_open(play);
	request = play_request(play, 1000);
	play_flush(play);
	play_request(play, 1000);
	play_flush(play);
	play->own_status = -EIO;
	(void)!zcreq_conn_abort(play->stage.conn, -EIO);
	stage_wait_ms(&play->stage, 100);
	if (!play->fault.failed)
		CLAIM(request->quarantined && !request->released);
	fake_socket_let_go(play->stage.sock, UINT32_MAX);
	stage_wait_ms(&play->stage, 1100);
	if (!play->fault.failed)
		CLAIM(request->released);
}

/* The watchdog finds out. */
static void set_vanished(struct stage *stage)
{
	stage->options.stall_ms = 500;
}

static void act_vanished(struct play *play)
{
	play_open(play);
	play_request(play, 1000);
	play_flush(play);
	stage_wait_ms(&play->stage, 1);
	fake_socket_vanish(play->stage.sock);
	stage_wait_ms(&play->stage, 700);
	if (!play->fault.failed)
		CLAIM(play->stage.abort_status == -ETIMEDOUT);
}

/* The peer does not read, and is given up for that. */
static void set_not_reading(struct stage *stage)
{
	stage->options.stall_ms = 500;
	stage->options.not_reading_ms = 1500;
}

static void act_not_reading(struct play *play)
{
	play_open(play);
	fake_socket_window(play->stage.sock, 0);
	play_request(play, 1000);
	play_flush(play);
	stage_wait_ms(&play->stage, 2600);
	if (!play->fault.failed)
		CLAIM(play->stage.abort_status == -ETIME);
}

/* The peer resets. */
static void act_reset(struct play *play)
{
	play_open(play);
	play_request(play, 1000);
	play_flush(play);
	play_request(play, 1000);
	fake_socket_kill(play->stage.sock, ECONNRESET);
	play_flush(play);
	stage_wait_ms(&play->stage, 20);
	if (!play->fault.failed)
		CLAIM(play->stage.abort_status == -ECONNRESET);
}

/* Option memory for two, so that reaping has to make room for the next. */
static void set_no_buffers(struct stage *stage)
{
	stage->knobs.optmem_bytes = 2 * 832;
	stage->knobs.coalesce = false;
}

static void act_no_buffers(struct play *play)
{
	unsigned i;

	play_open(play);
	for (i = 0; i < 8; i++) {
		play_request(play, 500);
		if (play->stage.conn)
			stage_flush(&play->stage);
		if (i % 3 == 2)
			fake_socket_ack(play->stage.sock, 900);
	}
	stage_wait_ms(&play->stage, 50);
	stage_ack_all(&play->stage);
}

/* A limit on locked memory that is below everything. */
static void set_locked(struct stage *stage)
{
	stage->knobs.locked_pages = 1;
}

/* Mode auto on a link that copies: windows of ids are judged. */
static void set_auto(struct stage *stage)
{
	stage->options.mode = ZCREQ_MODE_AUTO;
	stage->knobs.copies = true;
	stage->knobs.family = FAKE_IPV6;
}

static void act_several(struct play *play)
{
	unsigned i;

	play_open(play);
	for (i = 0; i < 6; i++) {
		play_request(play, 3000);
		play_write(play, 100);
		play_flush(play);
	}
	stage_wait_ms(&play->stage, 50);
	stage_ack_all(&play->stage);
}

/* A limit, and the hook that says there is room again. */
static void set_room(struct stage *stage)
{
	stage->options.limit_bytes = 2000;
	stage->knobs.accept_bytes = 700;
}

static void act_room(struct play *play)
{
	unsigned i;

	play_open(play);
	for (i = 0; i < 6; i++)
		play_request(play, 900);
	play_flush(play);
	stage_ack_all(&play->stage);
	if (!play->fault.failed)
		CLAIM(play->stage.rooms > 0);
}

/* One request withdrawn, another that cannot be. */
static void set_withdrawn(struct stage *stage)
{
	stage->knobs.sndbuf_bytes = 1200;
}

static void act_withdrawn(struct play *play)
{
	struct stage_request *going, *waiting;
	int ret;

	play_open(play);
	going = play_request(play, 2000);
	waiting = play_begin(play);
	play_send(waiting, 2000);
	play_write(play, 10);
	play_flush(play);
	play->own_status = -ECANCELED;
	if (waiting) {
		ret = zcreq_abort(play->stage.context, waiting->id, -ECANCELED);
		CLAIM(ret == 0 || (ret != -EBUSY && play->fault.failed));
	}
	if (going) {
		ret = zcreq_abort(play->stage.context, going->id, -ECANCELED);
		CLAIM(ret == -EBUSY || play->fault.failed);
	}
	play_flush(play);
	stage_ack_all(&play->stage);
}

/* Callbacks that begin the next, and give up the connection in the end. */
static void keep_going(struct stage *stage, const char *event, struct stage_request *request)
{
	struct play *play = (struct play *)stage;

	if (strcmp(event, "released") || !stage->conn)
		return;
	if (!request->released_status && stage->callbacks < 12) {
		play_request(play, 300);
		play_write(play, 30);
		return;
	}
	play->freed = true;
	zcreq_conn_free(stage->conn);
	stage->conn = NULL;
}

static void act_reentrant(struct play *play)
{
	unsigned turn;

	play_open(play);
	play->stage.on_event = keep_going;
	play_request(play, 300);
	for (turn = 0; turn < 8 && play->stage.conn; turn++) {
		play_flush(play);
		fake_socket_ack(play->stage.sock, FAKE_NEVER);
		play_flush(play);
	}
	stage_wait_ms(&play->stage, 50);
	play->stage.on_event = NULL;
}

/* Queue, chunks of writes and ids all grow, more than once. */
static void set_grown(struct stage *stage)
{
	stage->knobs.accept_bytes = 900;
	stage->knobs.first_id = UINT32_MAX - 5;
}

static void act_grown(struct play *play)
{
	unsigned i;

	play_open(play);
	for (i = 0; i < 40; i++) {
		play_request(play, 1 + i * 20);
		play_write(play, i % 10 ? 700 : 5000);
	}
	play_flush(play);
	for (i = 0; i < 3; i++)
		fake_socket_post_icmp(play->stage.sock, 10, 0);
	stage_ack_all(&play->stage);
}

/* Without a socket: tables of many pages, whose list of pages grows too, with holds. */
static void act_bare(struct play *play)
{
	enum { MANY = 1100 };
	static struct stage_request *requests[MANY];
	static zcreq_hold holds[MANY];
	static bool held[MANY];
	unsigned i;

	play_open_bare(play);
	for (i = 0; i < MANY; i++) {
		requests[i] = play_begin(play);
		held[i] = requests[i] && take(requests[i], &holds[i]);
		if (i % 2)
			play_finish(requests[i]);
	}
	play->own_status = -ECONNRESET;
	CLAIM(zcreq_conn_abort(play->stage.conn, -ECONNRESET) == 0);
	for (i = 0; i < MANY; i++)
		if (held[i])
			CLAIM(zcreq_drop(play->stage.context, holds[i], 0) == 0);
	zcreq_turn(play->stage.context, 0);
	CLAIM(play->stage.closes == 1);
}

const struct play_story play_stories[] = {
	{ "delivered", set_delivered, act_delivered },
	{ "aborted", set_aborted, act_aborted },
	{ "refused", set_refused, act_refused },
	{ "quarantined", set_quarantined, act_quarantined },
	{ "vanished", set_vanished, act_vanished },
	{ "not reading", set_not_reading, act_not_reading },
	{ "reset", NULL, act_reset },
	{ "no buffers", set_no_buffers, act_no_buffers },
	{ "locked memory", set_locked, act_several },
	{ "mode auto", set_auto, act_several },
	{ "room", set_room, act_room },
	{ "withdrawn", set_withdrawn, act_withdrawn },
	{ "reentrant", NULL, act_reentrant },
	{ "grown", set_grown, act_grown },
	{ "bare", NULL, act_bare },
};
const unsigned play_story_count = COUNT(play_stories);
