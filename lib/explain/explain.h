/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - what the two halves of an explanation share
 */
#ifndef ZCREQ_LIB_EXPLAIN_H
#define ZCREQ_LIB_EXPLAIN_H

#include "core/core.h"
#include "explain/text.h"

/* How long ago something was, at the end of what is said of it. */
void zcreq_explain_age(struct zcreq_text *t, const struct zcreq_context *context,
		       uint32_t since);

/* explain_stream.c: the transport's part. */
void zcreq_stream_explain(const struct zcreq_conn *conn, struct zcreq_text *t);
void zcreq_stream_explain_sends(const struct zcreq_request *request, struct zcreq_text *t);
void zcreq_stream_explain_waits(const struct zcreq_request *request, struct zcreq_text *t);

#endif
