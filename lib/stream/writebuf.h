/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writebuf.h - memory for zcreq_write(): small bytes, kept until nobody reads them
 *
 * A write may leave in the same MSG_ZEROCOPY call as the large send behind it, so
 * its bytes are as much the kernel's as a caller's buffer is, and are released
 * with the same proof. They are put one behind the other in chunks; a chunk counts
 * the writes in it and is used again, or freed, when the count is zero.
 *
 * One chunk is being filled and at most one is kept as a spare, so that a steady
 * flow of writes allocates nothing and an idle connection keeps little; more if there is
 * a reserve.
 */
#ifndef ZCREQ_LIB_WRITEBUF_H
#define ZCREQ_LIB_WRITEBUF_H

#include <stdint.h>

#include "base/memory.h"

/* Bytes of a chunk, unless one write has more. */
#define ZCREQ_CHUNK_BYTES 4032

struct zcreq_chunk {
	struct zcreq_chunk *next; /* of spares */
	uint32_t size;
	uint32_t used;
	uint32_t writes; /* put and not yet gone */
	char bytes[];
};

struct zcreq_writebuf {
	struct zcreq_chunk *filling;
	struct zcreq_chunk *spare; /* a list */
	uint32_t spares;           /* in it */
	uint32_t reserve;          /* it keeps one more than these */
};

/* So many writes that are no longer than a chunk find a place from now on, each one in a
 * chunk of its own if need be: 0 or -ENOMEM. */
int zcreq_writebuf_reserve(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			   uint32_t writes);

/* Copies @len bytes; returns where they are, and their chunk, or NULL. */
void *zcreq_writebuf_put(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			 const void *data, uint32_t len, struct zcreq_chunk **chunk);

/* One write of the chunk is gone, with proof. */
void zcreq_writebuf_gone(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			 struct zcreq_chunk *chunk);

/* No write is left anywhere. */
void zcreq_writebuf_deinit(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator);

#endif
