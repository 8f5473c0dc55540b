/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * facts.h - what can be seen of a request, a connection and a context
 *
 * Plain structs. facts.c and facts_stream.c fill them by looking at core and stream, and
 * text.c and json.c tell them. Everything is looked at before the first word is written:
 * the kernel is asked once for each connection, so that what is said of a peer and what is
 * said of each send fit together, and a renderer never touches anything that lives.
 *
 * Looking changes nothing and allocates nothing, so there is room for a limited number
 * of everything, the oldest first; what was left out is known from the counts beside.
 */
#ifndef ZCREQ_LIB_FACTS_H
#define ZCREQ_LIB_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"
#include "stream/stream.h"

/* With these the longest possible text is less than ZCREQ_EXPLAIN_MAX. */
#define ZCREQ_FACTS_CONNS 8
#define ZCREQ_FACTS_REQUESTS_OF_CONN 16
#define ZCREQ_FACTS_REQUESTS_OF_CONTEXT 4
#define ZCREQ_FACTS_SENDS 4
#define ZCREQ_FACTS_HOLDS 4
#define ZCREQ_FACTS_NAME 40 /* characters of a file or of a function */

/* Its owner, the holder of a hold, and one of what proves the sends; or a turn alone. */
#define ZCREQ_FACTS_WAITS 3

/* In place of a time or a number of bytes that nobody knows. */
#define ZCREQ_UNKNOWN UINT64_MAX

struct zcreq_send_facts {
	uint64_t total_bytes;
	uint64_t unsent_bytes;
	uint64_t kernel_bytes; /* that the kernel took */
	uint64_t acked_bytes;  /* of these, or ZCREQ_UNKNOWN */
	uint64_t age_ns;       /* or ZCREQ_UNKNOWN, as all ages before the first turn */
};

/* Where it was taken is told for addr2line: an offset in a file. */
struct zcreq_hold_facts {
	uint64_t handle;
	uint64_t age_ns;
	uint64_t taken_at;    /* in that file, or the address if no file is known */
	const char *taken_in; /* a file's name without its folder, or NULL */
	const char *taken_by; /* a function's name, or NULL */
};

struct zcreq_request_facts {
	uint64_t handle;
	uint32_t conn_number;
	int32_t status;
	const char *state;
	uint64_t age_ns;
	uint64_t send_bytes;
	uint32_t send_count, sends_seen;
	uint32_t hold_count, holds_seen;
	struct zcreq_send_facts sends[ZCREQ_FACTS_SENDS];
	struct zcreq_hold_facts holds[ZCREQ_FACTS_HOLDS];
	uint32_t wait_count;
	const char *waits[ZCREQ_FACTS_WAITS]; /* each of these has to come */
	uint64_t quarantine_in_ns; /* if the last of them does not come; or ZCREQ_UNKNOWN */
};

/* What the kernel says of the other end, and what the watchdog makes of it. */
struct zcreq_peer_facts {
	enum zcreq_stall verdict; /* 0: the kernel was not asked or did not answer, and
	                             nothing else is known */
	bool window_closed;
	uint32_t retransmits, probes;
	uint64_t quiet_ns;
	uint64_t unacked_bytes; /* of those that the kernel has, sent or not */
	uint64_t look_in_ns;    /* ZCREQ_UNKNOWN: there is no watchdog */
};

struct zcreq_stream_facts {
	enum zcreq_ladder ladder; /* 0: the connection is no stream */
	bool short_of_memory;     /* to send with */
	uint32_t batches;
	uint32_t oldest_id;
	uint64_t unsent_bytes;
	uint64_t kernel_bytes;
	uint64_t detached_bytes; /* of these, that no request waits for */
	struct zcreq_peer_facts peer;
};

struct zcreq_conn_facts {
	uint32_t number;
	int32_t status;
	enum zcreq_cause cause;
	const char *state;
	struct zcreq_stream_facts stream;
	uint32_t request_count, requests_seen;
	const struct zcreq_request_facts *requests; /* the oldest */
};

struct zcreq_context_facts {
	struct zcreq_stats stats;
	uint32_t conn_count, conns_seen; /* of those that are not closed */
	struct zcreq_conn_facts conns[ZCREQ_FACTS_CONNS];
	struct zcreq_request_facts requests[ZCREQ_FACTS_CONNS][ZCREQ_FACTS_REQUESTS_OF_CONTEXT];
};

static inline uint64_t zcreq_facts_age_ns(const struct zcreq_context *context, uint32_t since)
{
	return context->now_ns ? zcreq_age_ns(context, since) : ZCREQ_UNKNOWN;
}

/* facts.c. Of a connection it looks at so many requests, for which @requests has room. */
void zcreq_request_look(const struct zcreq_request *request, struct zcreq_request_facts *facts);
void zcreq_conn_look(const struct zcreq_conn *conn, uint32_t most,
		     struct zcreq_request_facts *requests, struct zcreq_conn_facts *facts);
void zcreq_context_look(const struct zcreq_context *context, struct zcreq_context_facts *facts);

/* facts.c: of the connections that are not closed, which are counted, those with the oldest
 * request, @most of them; how many that are. */
uint32_t zcreq_context_oldest(const struct zcreq_context *context, const struct zcreq_conn **oldest,
			      uint32_t most, uint32_t *conn_count);

/* facts_stream.c: the stream's part of these. */
struct zcreq_peer_facts zcreq_peer_look(const struct zcreq_stream *stream);
struct zcreq_stream_facts zcreq_stream_look(const struct zcreq_stream *stream);

/* A request's sends, of which there are some, and what brings proof of them. */
void zcreq_sends_look(const struct zcreq_request *request, uint64_t unacked_bytes,
		      struct zcreq_request_facts *facts);

static inline void zcreq_facts_wait(struct zcreq_request_facts *facts, const char *what)
{
	facts->waits[facts->wait_count++] = what;
}

#endif
