/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * checksum.h - what memory looked like, so that one can say later that it changed
 *
 * One 64-bit sum for each block of 256 bytes: a difference has a place, and it takes a
 * thirty-second of the memory. A block in which one word differs always has another sum.
 *
 * The memory is somebody else's, may be in flux, and may not be there any more: it is
 * read by process_vm_readv(2), which says so instead of crashing. Nothing here
 * allocates.
 */
#ifndef ZCREQ_LIB_CHECKSUM_H
#define ZCREQ_LIB_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ZCREQ_CHECKSUM_BLOCK 256

struct zcreq_checksum {
	uint32_t iovcnt;
	uint64_t total_bytes;
	struct iovec *iov; /* a copy; behind it: */
	uint64_t *sums;    /* of the blocks of each iovec; 0: could not be read */
};

enum zcreq_checksum_verdict {
	ZCREQ_CHECKSUM_SAME = 1,
	ZCREQ_CHECKSUM_CHANGED,
	ZCREQ_CHECKSUM_UNREADABLE,
};

/* The first run of blocks that are not as they were. */
struct zcreq_checksum_difference {
	uint64_t offset_bytes; /* in all iovecs together */
	uint64_t len_bytes;
	const char *address;
};

/* May this process read its own memory so? 0 or -errno (a seccomp filter). */
int zcreq_checksum_possible(void);

/* Copies memory that may not be there: bytes read, from the front; 0 if none can be. */
size_t zcreq_checksum_peek(void *to, const void *from, size_t len);

/* The room that struct zcreq_checksum and what it points at take together. */
size_t zcreq_checksum_size(const struct iovec *iov, uint32_t iovcnt);

/* Sums up; @sum has the room. */
void zcreq_checksum_take(struct zcreq_checksum *sum, const struct iovec *iov, uint32_t iovcnt);

/*
 * Only the first @bytes count from now on; the sum of a block that is cut is taken
 * again.
 */
void zcreq_checksum_cut(struct zcreq_checksum *sum, uint64_t bytes);

/* Compares; @difference is written unless it is the same. */
enum zcreq_checksum_verdict zcreq_checksum_compare(const struct zcreq_checksum *sum,
						   struct zcreq_checksum_difference *difference);

#endif
