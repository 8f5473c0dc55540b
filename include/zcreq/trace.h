/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * trace.h - what happened, in the order in which it did
 *
 * A log of events of one fixed size, in memory that the program gives. There is none
 * until zcreq_trace_start(); then an event costs a few nanoseconds, plus what the
 * program's clock takes. The newest are kept. A program that never calls it does not
 * link the log.
 *
 * The memory begins with a header and is, at any moment, what zcreq_trace_dump()
 * writes, but for the oldest event of a full log, which the next one may have
 * overwritten in part: a program that maps a file and hands that in has its trace in
 * the file even if it crashes. zcreq-trace(1) reads such files and draws them; the
 * format is this header's, in the byte order of the machine, and has a version.
 *
 * With systemtap's sys/sdt.h at hand when the library was built, each event is also
 * a static probe, of provider "zcreq" and with the name in small letters (begin,
 * send, ...), with or without a log. Its arguments are the members conn, subject,
 * status, first and last. A probe that is attached takes effect with the next
 * zcreq_turn(). The probes' semaphore, which tracers raise, is the one global variable
 * of the library. See doc/trace.md.
 */
#ifndef ZCREQ_TRACE_H
#define ZCREQ_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * What an event says. In brackets what its members mean, those not named are 0.
 * "request" is a request's handle, "number" counts the sends of a connection from 0,
 * and "id" is a notification's. All but STALE and MARK have conn.
 */
enum zcreq_trace_kind {
	ZCREQ_TRACE_OPEN = 1,    /**< a connection began */
	ZCREQ_TRACE_BEGIN,       /**< [subject: request] */
	ZCREQ_TRACE_SEND,        /**< queued [subject: request, first: number, last: bytes] */
	ZCREQ_TRACE_TAKE,        /**< a hold [subject: request, first: holds now] */
	ZCREQ_TRACE_DROP,        /**< [subject: request, first: holds now, status] */
	ZCREQ_TRACE_FINISH,      /**< [subject: request, status] */
	ZCREQ_TRACE_BATCH,       /**< accepted or, with a sender, submitted, by reference
	                              [subject: bytes << 32 | id, first, last: numbers] */
	ZCREQ_TRACE_COPY,        /**< accepted as a copy [subject: bytes << 32, first, last] */
	ZCREQ_TRACE_NOTIFIED,    /**< [first, last: ids, status: 1 if copied after all] */
	ZCREQ_TRACE_NO_BUFFERS,  /**< ENOBUFS [status, first: batches in flight] */
	ZCREQ_TRACE_SETTLED,     /**< an error is the outcome [subject: request, status];
	                              success is not told apart from RELEASED */
	ZCREQ_TRACE_RELEASED,    /**< [subject: request, status] */
	ZCREQ_TRACE_ABORTED,     /**< a request was aborted [subject: request, status] */
	ZCREQ_TRACE_QUARANTINED, /**< no proof in time [subject: request] */
	ZCREQ_TRACE_DRAIN,       /**< of the connection */
	ZCREQ_TRACE_STALL,       /**< [status: enum zcreq_stall, first: ms without progress] */
	ZCREQ_TRACE_ABORT,       /**< of the connection [status, first: enum zcreq_cause] */
	ZCREQ_TRACE_DISCONNECT,  /**< the kernel was told to let go [status: what it said] */
	ZCREQ_TRACE_CLOSED,      /**< of the connection [status, first: enum zcreq_cause] */
	ZCREQ_TRACE_STALE,       /**< a handle was refused [subject: the handle, status] */
	ZCREQ_TRACE_MARK,        /**< zcreq_trace_mark() [subject, first, last: 16 bytes] */
	ZCREQ_TRACE_DETACH,      /**< pages were exchanged, or not [subject: request, or 0 for
	                              all, status, first: sends that were proven by it] */
	ZCREQ_TRACE_KINDS,
};

/** One event: 32 bytes. @time_ns is in the clock of the options. */
struct zcreq_trace_event {
	uint64_t time_ns;
	uint64_t subject;
	uint32_t conn;    /**< counts the context's connections from 0 */
	uint16_t kind;    /**< enum zcreq_trace_kind */
	int16_t status;   /**< 0 or a negative errno, unless the kind says otherwise; what is
	                       below -32768 is told as that */
	uint32_t first;
	uint32_t last;
};

#define ZCREQ_TRACE_MAGIC "zctrace"
#define ZCREQ_TRACE_VERSION 1
#define ZCREQ_TRACE_BYTE_ORDER 0x01020304u

/**
 * struct zcreq_trace_header - at the beginning of the memory, and of a dump: 64 bytes
 * @magic:       ZCREQ_TRACE_MAGIC
 * @byte_order:  ZCREQ_TRACE_BYTE_ORDER, as the writer writes numbers
 * @version:     ZCREQ_TRACE_VERSION; another one when anything here changes
 * @header_bytes, @event_bytes: 64 and 32
 * @capacity:    events that there is room for, a power of two. Event number N is in
 *               place N modulo capacity; a dump ends after the last place in use.
 * @written:     events ever, each counted when it is complete; those older than capacity
 *               are overwritten. The newest capacity - 1 are whole whenever the program
 *               is stopped; in the place of the one before them the next one may be half
 *               written. Who reads while the program runs looks here again at the end,
 *               and leaves out what has been overwritten since.
 * @unused:      0
 */
struct zcreq_trace_header {
	char magic[8];
	uint32_t byte_order;
	uint32_t version;
	uint32_t header_bytes;
	uint32_t event_bytes;
	uint64_t capacity;
	uint64_t written;
	uint64_t unused[3];
};

/** Events that there must be room for. */
#define ZCREQ_TRACE_LEAST 16

/**
 * struct zcreq_trace_options - where events go
 * @size:          sizeof(struct zcreq_trace_options)
 * @flags:         must be 0
 * @memory:        aligned to 8 bytes; borrowed until zcreq_trace_stop() or the end of
 *                 the context; overwritten
 * @memory_bytes:  for a header and a power of two of events; the rest is not used
 * @clock_ns:      what time it is; zcreq_now_ns will do. Asked for every event that the
 *                 kernel has part in, for the first in a turn and the first after it,
 *                 and at least for each 16th. NULL is the time of the last turn: costs
 *                 nothing, and tells what happened within a turn of the loop only by
 *                 its order.
 */
struct zcreq_trace_options {
	size_t size;
	uint32_t flags;
	void *memory;
	size_t memory_bytes;
	uint64_t (*clock_ns)(void);
};

/**
 * zcreq_trace_start() - from now on every event is kept
 * @context:  without a log
 * @options:  required: it names the memory
 *
 * Ownership: the memory is the library's to write; anybody may read it.
 * Callback:  none; clock_ns is called from inside any call.
 * Thread:    the context's.
 * Errors:    -EINVAL    a NULL, memory that is not aligned or too small, an unknown
 *                       flag, or an options size that no version had;
 *            -E2BIG     options of a newer library;
 *            -EALREADY  there is a log.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_trace_start(struct zcreq_context *context, const struct zcreq_trace_options *options);

/**
 * zcreq_trace_stop() - no more events
 * @context:  with or without a log
 *
 * Ownership: the memory is the program's again, as it is.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ENOENT  there is no log.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_trace_stop(struct zcreq_context *context);

/**
 * zcreq_trace_dump() - write the trace out
 * @context:  with a log
 * @write:    takes @len bytes; 0, or a negative errno, which ends it
 * @arg:      handed to @write
 *
 * The header and the events that are kept, in a few calls. The log goes on.
 *
 * Ownership: the bytes are lent during each call.
 * Callback:  @write, from inside this call: it must not call the library.
 * Thread:    the context's.
 * Errors:    -EINVAL  a NULL;
 *            -ENOENT  there is no log; and what write returned.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_trace_dump(const struct zcreq_context *context,
		     int (*write)(const void *bytes, size_t len, void *arg), void *arg);

/**
 * zcreq_trace_mark() - an event of the program's own
 * @context:  with or without a log: without one only probes are told
 * @text:     the first 16 bytes are kept
 *
 * "link cut", "failover": what a reader of the trace wants to see among the rest.
 *
 * Ownership: copied.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    none; a NULL does nothing.
 * Source:    none.
 * Since:     0.1
 */
void zcreq_trace_mark(struct zcreq_context *context, const char *text);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
