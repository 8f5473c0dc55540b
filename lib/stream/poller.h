/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poller.h - streams in the context's one descriptor
 */
#ifndef ZCREQ_LIB_STREAM_POLLER_H
#define ZCREQ_LIB_STREAM_POLLER_H

#include "stream/stream.h"

/* A stream was opened in a context that has a poller: it is waited for from now on. */
void zcreq_poller_join(struct zcreq_stream *stream);

/* Its descriptor is about to be closed. */
void zcreq_poller_leave(struct zcreq_stream *stream);

#endif
