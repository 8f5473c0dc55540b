/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * stamp.c - makes and judges stamped blocks
 *
 * Owns the versions. It knows nothing of queues: whoever posts and completes
 * commands calls it at these moments.
 */
#include <stdlib.h>
#include <string.h>

#include "stamp.h"

#define MAGIC 0x7a637200u /* plus the namespace in the low byte */

struct stamp {
	uint32_t magic, version;
	uint64_t lba;
};

void stamps_init(struct stamps *stamps, uint32_t nsid, uint32_t block_size, uint64_t blocks)
{
	*stamps = (struct stamps){ .nsid = nsid, .block_size = block_size, .blocks = blocks };
	stamps->started = calloc(blocks, sizeof(uint32_t));
	stamps->finished = calloc(blocks, sizeof(uint32_t));
	if (!stamps->started || !stamps->finished)
		abort();
}

void stamps_deinit(struct stamps *stamps)
{
	free(stamps->started);
	free(stamps->finished);
}

void stamps_write(struct stamps *stamps, uint64_t lba, uint32_t blocks, void *data)
{
	struct stamp *stamp = data;

	for (uint32_t i = 0; i < blocks; i++) {
		struct stamp value = { .magic = MAGIC + stamps->nsid,
				       .version = ++stamps->started[lba + i],
				       .lba = lba + i };

		for (uint32_t k = 0; k < stamps->block_size / sizeof(*stamp); k++)
			*stamp++ = value;
	}
}

void stamps_written(struct stamps *stamps, uint64_t lba, uint32_t blocks, const void *data)
{
	for (uint32_t i = 0; i < blocks; i++) {
		const struct stamp *stamp =
			(const void *)((const char *)data + (size_t)i * stamps->block_size);

		if (stamp->version > stamps->finished[lba + i])
			stamps->finished[lba + i] = stamp->version;
	}
}

void stamps_posted(const struct stamps *stamps, uint64_t lba, uint32_t blocks, uint32_t *oldest)
{
	memcpy(oldest, stamps->finished + lba, blocks * sizeof(*oldest));
}

uint64_t stamps_wrong(const struct stamps *stamps, uint64_t lba, uint32_t len, const void *data,
		      const uint32_t *oldest, uint64_t *foreign)
{
	uint32_t per_block = stamps->block_size / (uint32_t)sizeof(struct stamp);
	const struct stamp *stamp = data, *first = data;
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < len / sizeof(*stamp); i++, stamp++) {
		uint32_t block = i / per_block, low = oldest ? oldest[block] : 1;

		if (i % per_block == 0)
			first = stamp;
		if (stamp->magic != MAGIC + stamps->nsid || stamp->lba != lba + block) {
			*foreign += sizeof(*stamp);
			wrong += sizeof(*stamp);
		} else if (stamp->version != first->version || stamp->version < low ||
			   stamp->version > stamps->started[lba + block]) {
			wrong += sizeof(*stamp);
		}
	}
	return wrong;
}
