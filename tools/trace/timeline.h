/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timeline.h - what the parts of zcreq-trace share
 *
 *	zcreq-trace.c   options, and which picture
 *	read.c          a file into events, the oldest first; believes nothing
 *	lives.c         events into lives of requests: in which phase from when to when
 *	news.c          what happens to a connection, in words
 *	axis.c          time to place, with what is empty left out
 *	svg.c           the picture
 *	json.c          the format of Chrome's and Perfetto's viewers
 *	text.c          a line for each event
 */
#ifndef ZCREQ_TOOLS_TRACE_H
#define ZCREQ_TOOLS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zcreq/trace.h>

/* ---- read.c ---- */

struct trace {
	void *file; /* as it was read */
	struct zcreq_trace_event *events;
	size_t count;
	uint64_t lost; /* events before those: overwritten, or perhaps in part */
};

/* Reads a dump, or the file of a program that runs. Returns NULL, or in words what is wrong
 * with it. */
const char *trace_read(FILE *file, struct trace *trace);
void trace_free(struct trace *trace);

const char *trace_kind_name(unsigned kind);

/* The program's own words in a mark; 17 bytes. */
void trace_mark_text(const struct zcreq_trace_event *event, char *text);

/* ---- lives.c ---- */

enum phase {
	PHASE_OWNER = 0,   /* begun, and nothing to be sent */
	PHASE_QUEUED,
	PHASE_KERNEL,
	PHASE_ABORTED,     /* and waiting for proof */
	PHASE_QUARANTINED,
	PHASES,
};

extern const char *const phase_names[PHASES];

struct life {
	uint64_t request;
	uint32_t conn;
	uint64_t begun_ns, ended_ns; /* ended: the end of the trace if it was not released */
	int status;                  /* the error that it settled or was released with */
	bool headless;               /* began before the trace */
	bool released, aborted, quarantined;
};

/* A stretch of a life in one phase. */
struct stretch {
	size_t life;
	enum phase phase;
	uint64_t from_ns, to_ns;
};

struct lives {
	struct life *lives; /* in the order of their beginnings */
	size_t count;
	struct stretch *stretches;
	size_t stretch_count;
	uint64_t from_ns, to_ns; /* of the whole trace */
};

/* 0, or -1 without memory. */
int lives_make(const struct trace *trace, struct lives *lives);
void lives_free(struct lives *lives);

/* ---- news.c ---- */

/* Is it an event of a whole connection, or a mark, that a reader wants to see? */
bool trace_is_news(const struct zcreq_trace_event *event);

/* The same in a few words. */
void trace_news(const struct zcreq_trace_event *event, char *text, size_t size);

/* ---- axis.c ---- */

#define AXIS_RUNS 6

struct axis {
	unsigned count; /* of runs, in which things happen; between them is a break */
	struct run {
		uint64_t from_ns, to_ns;
		double from_x, to_x;
	} runs[AXIS_RUNS];
};

/* @times is sorted here. Places all of them between @left and @right. */
void axis_make(struct axis *axis, uint64_t *times, size_t count, double left, double right);
double axis_place(const struct axis *axis, uint64_t time_ns);

/* ---- the pictures ---- */

struct picture {
	const char *title;
	uint64_t from_ns, to_ns; /* what of the trace is shown */
	uint64_t zero_ns;        /* what the axis calls 0 */
	size_t most_lanes;
};

/* False: there is no memory, and nothing is written. */
bool trace_svg(FILE *out, const struct trace *trace, const struct lives *lives,
	       const struct picture *picture);
void trace_json(FILE *out, const struct trace *trace, const struct lives *lives);
void trace_text(FILE *out, const struct trace *trace);

#endif
