/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * scenario.h - what is observed of one connection, as text in which nothing is left to chance
 *
 * The same scenario on two kernels cannot give the same bytes: how much a call takes,
 * how ranges are cut and how long things take differ from run to run. What is written
 * down instead, and by which rule:
 *
 *	bytes a call took   "all", "part" or the error's name; runs of the same are counted
 *	fill                only the error at which it ended
 *	ranges              in the order in which they were read. Two that are read one
 *	                    after the other, continue each other and agree on COPIED are
 *	                    one: whether the kernel merged them depends on when it was asked
 *	ids after "rough"   which ids come first is chance there: only whether it was none,
 *	                    some or all of those given, and how many of these were COPIED
 *	every id            told twice, or never given: said wherever it happens
 *	TCP_INFO            a byte or packet count is "0", "some" or "all"; a time is told
 *	                    from the others of its kind only (recent, quiet; base, doubled)
 *	time                is not written down; "await" says "late" if it took more than 5 s
 *	the reader          how much of what was accepted it got, and whether it was
 *	                    what was there when it was sent
 */
#ifndef ZCREQ_TRACE_TRACE_H
#define ZCREQ_TRACE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "scenarios/world.h"

#define TRACE_IDS 65536

/** Ranges told in one go, merged by the rule above, and what was odd about them. */
struct trace_range {
	uint32_t lo, hi;
	bool copied;
	size_t control_bytes;
};

struct trace_ids {
	uint8_t told[TRACE_IDS]; /* of each id, how often */
	uint32_t given, heard;
	bool rough;
	uint32_t rough_heard, rough_copied; /* since the last line */
	struct trace_range last;            /* not printed yet, if there is one */
	bool pending;
};

/* Reads the error queue until it is empty; prints what is complete. */
void trace_reap(struct trace_ids *ids, const struct world_socket *socket);

/* Prints what was held back to be merged; "nothing" if nothing was told since. */
void trace_reaped(struct trace_ids *ids);

/* One line of TCP_INFO; @accepted: bytes that sends took. */
void trace_info(const struct world_socket *socket, uint64_t accepted);

/* The poll bits by name. */
void trace_poll(short bits);

/* "ok", or the error's name. */
const char *trace_result(long result);

#endif
