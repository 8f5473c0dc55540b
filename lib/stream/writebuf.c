/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/writebuf.h"

#include <errno.h>
#include <string.h>

#include "base/bug.h"

static struct zcreq_chunk *chunk_new(struct zcreq_writebuf *buf,
				     const struct zcreq_allocator *allocator, uint32_t least)
{
	uint32_t size = least > ZCREQ_CHUNK_BYTES ? least : ZCREQ_CHUNK_BYTES;
	struct zcreq_chunk *chunk = buf->spare;

	if (chunk && size == ZCREQ_CHUNK_BYTES) {
		buf->spare = chunk->next;
		buf->spares--;
		chunk->used = 0;
		return chunk;
	}
	chunk = zcreq_calloc(allocator, 1, sizeof(*chunk) + size);
	if (chunk)
		chunk->size = size;
	return chunk;
}

static void keep(struct zcreq_writebuf *buf, struct zcreq_chunk *chunk)
{
	chunk->next = buf->spare;
	buf->spare = chunk;
	buf->spares++;
}

/* Nothing of it is in use: keep one of the usual size, and the reserve; free the others. */
static void chunk_retire(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			 struct zcreq_chunk *chunk)
{
	if (buf->spares <= buf->reserve && chunk->size == ZCREQ_CHUNK_BYTES)
		keep(buf, chunk);
	else
		zcreq_free(allocator, chunk);
}

int zcreq_writebuf_reserve(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			   uint32_t writes)
{
	for (buf->reserve = 0; buf->reserve < writes; buf->reserve++) {
		struct zcreq_chunk *chunk = zcreq_calloc(allocator, 1, sizeof(*chunk) +
								       ZCREQ_CHUNK_BYTES);

		if (!chunk)
			return -ENOMEM;
		chunk->size = ZCREQ_CHUNK_BYTES;
		keep(buf, chunk);
	}
	return 0;
}

void *zcreq_writebuf_put(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			 const void *data, uint32_t len, struct zcreq_chunk **chunk)
{
	struct zcreq_chunk *filling = buf->filling;
	char *at;

	if (!filling || filling->size - filling->used < len) {
		struct zcreq_chunk *fresh = chunk_new(buf, allocator, len);

		if (!fresh)
			return NULL;
		if (filling && !filling->writes)
			chunk_retire(buf, allocator, filling);
		buf->filling = filling = fresh;
	}
	at = filling->bytes + filling->used;
	memcpy(at, data, len);
	filling->used += len;
	filling->writes++;
	*chunk = filling;
	return at;
}

void zcreq_writebuf_gone(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator,
			 struct zcreq_chunk *chunk)
{
	zcreq_assert(chunk->writes);
	if (--chunk->writes)
		return;
	if (chunk == buf->filling)
		chunk->used = 0;
	else
		chunk_retire(buf, allocator, chunk);
}

void zcreq_writebuf_deinit(struct zcreq_writebuf *buf, const struct zcreq_allocator *allocator)
{
	zcreq_assert(!buf->filling || !buf->filling->writes);
	zcreq_free(allocator, buf->filling);
	while (buf->spare) {
		struct zcreq_chunk *chunk = buf->spare;

		buf->spare = chunk->next;
		zcreq_free(allocator, chunk);
	}
	*buf = (struct zcreq_writebuf){0};
}
