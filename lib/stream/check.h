/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - what holds of a stream's structs between any two public calls
 *
 * As core/check.h, for the room above it.
 */
#ifndef ZCREQ_LIB_STREAM_CHECK_H
#define ZCREQ_LIB_STREAM_CHECK_H

#include "stream/stream.h"

void zcreq_ids_check(const struct zcreq_ids *ids);
void zcreq_policy_check(const struct zcreq_policy *policy);

/* @writes: sends that have bytes in it. */
void zcreq_writebuf_check(const struct zcreq_writebuf *buf, uint32_t writes);

void zcreq_sendq_check(const struct zcreq_sendq *q);

/* All of these, how they fit together, and the states of the stream. */
void zcreq_stream_check(const struct zcreq_stream *stream);

/* Every stream of a context; its other connections are left out. */
void zcreq_streams_check(const struct zcreq_context *context);

#endif
