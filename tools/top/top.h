/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - what the parts of zcreq-top share
 *
 *	zcreq-top.c    options; once, or again and again
 *	read.c         a file into pages; believes nothing
 *	places.c       the connections of all pages in one order
 *	words.c        sums, durations, and what a number of an enum means
 *	screen.c       pages in lines, for people
 *	prometheus.c   pages in samples, for Prometheus
 *	terminal.c     a terminal is taken, and given back
 */
#ifndef ZCREQ_TOOLS_TOP_H
#define ZCREQ_TOOLS_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zcreq/page.h>

/* ---- read.c ---- */

struct page {
	struct zcreq_page head;
	struct zcreq_page_conn *conns; /* head.conns_seen of them */
};

/* A connection, and the page that it is of. */
struct place {
	size_t page;
	const struct zcreq_page_conn *conn;
};

struct pages {
	struct page *list;
	size_t count;
	struct place *conns; /* of all pages, the one with the oldest request first */
	size_t conn_count;
	struct place *ended; /* the last one first */
	size_t ended_count;
};

/*
 * Reads all pages of a file. NULL, or in words what is wrong with it; then there are none.
 * What is read is sound: names end and can be printed, counts fit, a number of an enum is
 * one of it or 0, a status is 0 or a negative errno.
 */
const char *pages_read(const char *path, struct pages *pages);
void pages_free(struct pages *pages);

/* CLOCK_MONOTONIC, as in the pages. */
uint64_t now_ns(void);

/* ---- places.c ---- */

/* False: no memory. */
bool places_make(struct pages *pages);

/* ---- words.c ---- */

#define WORD 32   /* enough for a number, a share or a duration */
#define WORDS 160 /* enough for a sentence */

/* From @then to @now, and 0 if that is later: a page may be of another boot. */
uint64_t since_ns(uint64_t then, uint64_t now);

/* Of all pages; the oldest age is that of the oldest. */
struct zcreq_stats pages_sum(const struct pages *pages);

/* Why what a page says may not be how things are; NULL: it is written to. */
const char *page_trouble(const struct zcreq_page *page, uint64_t now, char text[WORDS]);

/* "1.9 s"; "15.6M", or "812" */
const char *duration_text(uint64_t ns, char text[WORD]);
const char *bytes_text(uint64_t bytes, char text[WORD]);

/* Of the calls that were accepted those that copied, or copied after all; empty if none was. */
const char *copied_text(const struct zcreq_stats *stats, char text[WORD]);

const char *state_name(uint32_t state);     /* as in enum zcreq_conn_state */
const char *verdict_name(uint32_t verdict); /* as in enum zcreq_stall */
const char *cause_words(uint32_t cause);

/* ---- screen.c ---- */

struct view {
	uint64_t now;
	unsigned width, height; /* 0: no limit */
	bool terminal;          /* with colours, and what was there before is overwritten */
	bool rated;             /* the next is known */
	uint64_t sent_rate;     /* bytes in a second */
};

void screen_show(FILE *out, const struct pages *pages, const struct view *view);

/* There are none, and why. */
void screen_tell(FILE *out, const char *path, const char *wrong, const struct view *view);

/* ---- prometheus.c ---- */

/* Text exposition format, version 0.0.4. */
void prometheus_show(FILE *out, const struct pages *pages, uint64_t now);

/* ---- terminal.c ---- */

/* False: this is none. */
bool terminal_take(void);
void terminal_give_back(void);

void terminal_size(unsigned *width, unsigned *height);

/* Waits so long, or until the size changes. False: it is to end. */
bool terminal_wait(unsigned ms);

#endif
