/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.h - a page that is kept, from the inside
 *
 * What is to be read is put together in the keeper's own memory, the image (page_image.c),
 * and then copied to the program's in one go (page.c), so that a reader waits for a copy and
 * not for the kernel's answers.
 */
#ifndef ZCREQ_LIB_PAGE_H
#define ZCREQ_LIB_PAGE_H

#include <zcreq/page.h>

#include "core/keeper.h"

struct zcreq_page_keeper {
	struct zcreq_keeper keeper; /* first */
	uint64_t interval_ns, due_ns; /* due_ns in the clock of turns */
	uint32_t *shared;       /* the program's memory; read by anybody, written here */
	uint32_t sequence;      /* even: of what was written last */
	uint32_t capacity;      /* records */
	struct zcreq_page_conn ended[ZCREQ_PAGE_ENDED]; /* number N in place N % ENDED */
	const struct zcreq_conn **oldest; /* capacity of them, to choose with */
	struct zcreq_page *image;         /* followed by its records; it counts ended ones */
	struct zcreq_page_conn *before;   /* records of the image before, for their names */
	uint32_t *places, *places_before; /* where the record of a connection is in each */
	uint32_t places_mask;
};

/* page_image.c: how many places there are for so many records. */
uint32_t zcreq_page_places(uint32_t capacity);

/* page_image.c: the image is as things are now. */
void zcreq_page_look(struct zcreq_page_keeper *keeper);

/* page_image.c: a connection that has closed is noted, if it ended before its time. */
void zcreq_page_note_end(struct zcreq_page_keeper *keeper, const struct zcreq_conn *conn);

/* page_image.c: CLOCK_MONOTONIC, which a reader in another process has too. */
uint64_t zcreq_page_now_ns(void);

#endif
