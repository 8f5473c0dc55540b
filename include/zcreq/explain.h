/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * explain.h - why is this not released yet?
 *
 * For the person who is called at night, and for the program that wants to know the
 * same. Three functions for three sizes of the question: a request, a connection
 * with the oldest of its requests, the whole context with those of its connections
 * that have the oldest. Each says what it is in, how old, what still holds it, what
 * the kernel says of the peer, and what would release it (the third line is broken here):
 *
 *	connection 0: open, 1 request not released
 *	  0 bytes unsent, 131072 in the kernel in 1 batch (ids from 0)
 *	  128 KiB not ACKed, 5 retransmits, nothing heard for 5.0 s: the peer has
 *	  vanished; abort in 800 ms
 *	  request 0x5f3a90cc04000000: finished, 5.0 s old
 *	    send of 131072 bytes, 5.0 s old: 131072 in the kernel, not ACKed
 *	    waits for the peer's ACK, or an abort of the connection
 *
 * How old something is comes round after 52 days: see oldest_age_ns in context.h.
 *
 * The contract is that of snprintf(3): what is returned is the length that the whole
 * text has, also if it did not fit; @text is always ended with a NUL. Text is cut
 * where the room ends. Half of a JSON document is of no use: one that does not fit is
 * "{}" instead, or nothing in less room than that. Nothing is longer than
 * ZCREQ_EXPLAIN_MAX; what is left out is counted. Nothing is allocated, and nothing
 * changes. Ages are as of the last zcreq_turn(), and begin with the first one after the
 * call (to begin, to send, to take); what the kernel says is as of now.
 */
#ifndef ZCREQ_EXPLAIN_H
#define ZCREQ_EXPLAIN_H

#include <stddef.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/request.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** No explanation is longer, the NUL included. */
#define ZCREQ_EXPLAIN_MAX 65536

/** For whom it is. */
enum zcreq_format {
	ZCREQ_TEXT = 1, /**< lines for people, the last without a newline */
	ZCREQ_JSON,     /**< one object on one line; numbers of handles are strings */
};

/**
 * zcreq_request_explain() - what a request waits for
 * @context:  the request's context
 * @id:       the request
 * @format:   enum zcreq_format
 * @text:     written; may be NULL if @size is 0
 * @size:     bytes at @text
 *
 * Ownership: the caller's buffer.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL, text is NULL with a size, or an unknown format;
 *            -ESTALE  released, forged, or of another context; not counted as a
 *                     stale use, as asking is allowed. In all cases @text is as it was.
 * Source:    TCP_INFO in tcp(7)
 * Since:     0.1
 *
 * Return: the length of the whole text, as snprintf(3), or an error.
 */
int zcreq_request_explain(const struct zcreq_context *context, zcreq_id id,
			  enum zcreq_format format, char *text, size_t size);

/**
 * zcreq_conn_explain() - what a connection waits for
 * @conn:    any state
 * @format:  enum zcreq_format
 * @text:    written; may be NULL if @size is 0
 * @size:    bytes at @text
 *
 * Ownership: the caller's buffer.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL, text is NULL with a size, or an unknown format.
 * Source:    TCP_INFO in tcp(7)
 * Since:     0.1
 *
 * Return: the length of the whole text, as snprintf(3), or an error.
 */
int zcreq_conn_explain(const struct zcreq_conn *conn, enum zcreq_format format, char *text,
		       size_t size);

/**
 * zcreq_context_explain() - what everything waits for, the oldest first
 * @context:  the context
 * @format:   enum zcreq_format
 * @text:     written; may be NULL if @size is 0
 * @size:     bytes at @text
 *
 * Ownership: the caller's buffer.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL, text is NULL with a size, or an unknown format.
 * Source:    TCP_INFO in tcp(7)
 * Since:     0.1
 *
 * Return: the length of the whole text, as snprintf(3), or an error.
 */
int zcreq_context_explain(const struct zcreq_context *context, enum zcreq_format format,
			  char *text, size_t size);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
