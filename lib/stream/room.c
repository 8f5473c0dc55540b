/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * room.c - what fits below the limit, and when those are called who found that it does not
 *
 * It owns one rule (zcreq/stream.h, zcreq_room()): a send or a write is taken if what is
 * held stays within the limit with it, or if nothing is held. And its reverse: whoever was
 * refused, or was told a number, is called once there is more room than that and half of
 * the limit is free, so that a queue that is full does not wake its owner for each send.
 *
 * The question itself, which each send asks, is zcreq_stream_check_room() in stream.h.
 */
#include "stream/stream.h"

/* The room hook is owed, when no more than so much is held. Several wait for the least. */
static void owe(struct zcreq_stream *stream, uint64_t held)
{
	if (held > stream->limit_bytes / 2)
		held = stream->limit_bytes / 2;
	if (!stream->room_below_bytes || held + 1 < stream->room_below_bytes)
		stream->room_below_bytes = held + 1;
}

int zcreq_stream_refuse(struct zcreq_stream *stream, uint64_t len)
{
	owe(stream, len < stream->limit_bytes ? stream->limit_bytes - len : 0);
	return -EAGAIN;
}

uint64_t zcreq_room(struct zcreq_conn *conn)
{
	struct zcreq_stream *stream = zcreq_stream_of(conn);
	uint64_t held;

	if (!zcreq_is_stream(conn) || !zcreq_conn_sends(conn) || stream->fin != ZCREQ_FIN_NONE)
		return 0;
	held = stream->queue.held_bytes;
	if (!held || stream->limit_bytes == UINT64_MAX)
		return UINT64_MAX;
	owe(stream, held - 1);
	return held < stream->limit_bytes ? stream->limit_bytes - held : 0;
}
