/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * stamp.h - blocks that say which they are: namespace, address, version
 *
 * Every 16 bytes of a block carry the same stamp, so a block that is torn, of
 * another place, of another namespace, or too old or too new, is told from a
 * right one, also when only a part of it is wrong.
 */
#ifndef TESTS_NVME_STAMP_H
#define TESTS_NVME_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The region of a namespace that stamped blocks live in, from block 0 on. */
struct stamps {
	uint32_t nsid, block_size;
	uint64_t blocks;
	uint32_t *started;  /**< per block: version of the newest write that was sent */
	uint32_t *finished; /**< per block: version of the newest write that was answered */
};


void stamps_init(struct stamps *stamps, uint32_t nsid, uint32_t block_size, uint64_t blocks);
void stamps_deinit(struct stamps *stamps);

/** Fills @data for a write of @blocks blocks, each a new version, and notes it. */
void stamps_write(struct stamps *stamps, uint64_t lba, uint32_t blocks, void *data);

/** That write was answered. */
void stamps_written(struct stamps *stamps, uint64_t lba, uint32_t blocks, const void *data);

/** Notes in @oldest what a read that is posted now may give at the oldest. */
void stamps_posted(const struct stamps *stamps, uint64_t lba, uint32_t blocks, uint32_t *oldest);

/**
 * stamps_wrong() - bytes of a read that are not what was asked for
 * @len:      how many bytes of it there are: whole blocks, or what came before an end
 * @oldest:   from stamps_posted(), or NULL: any version that was ever sent is right
 * @foreign:  grows by the bytes with another namespace's or address's stamp, or none
 *
 * Returns the bytes that are wrong in any way: also torn, too old, never written.
 */
uint64_t stamps_wrong(const struct stamps *stamps, uint64_t lba, uint32_t len, const void *data,
		      const uint32_t *oldest, uint64_t *foreign);

#endif
