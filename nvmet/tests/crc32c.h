/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * crc32c.h - the digest of NVMe/TCP, for the tests
 *
 * A table of 256 words rather than ISA-L, which the target uses: the tests have to
 * be able to disagree with it.
 */
#ifndef TESTS_NVME_CRC32C_H
#define TESTS_NVME_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** CRC-32C of @len bytes at @data, going on from @crc (0 to begin). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
