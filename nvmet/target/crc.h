/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crc.h - CRC-32C as NVMe/TCP digests want it
 *
 * Owns: the inversions around ISA-L's crc32_iscsi(), which makes none itself.
 * Never: state; a running value is the caller's, starts as CRC_START and is
 * turned into a digest by crc_digest(). Built so that a digest can follow bytes
 * wherever they lie, block by block.
 */
#ifndef NVMET_CRC_H
#define NVMET_CRC_H

#include <stddef.h>
#include <stdint.h>

#include <isa-l/crc.h>

#define CRC_START UINT32_MAX

static inline uint32_t crc_update(uint32_t crc, const void *bytes, size_t len)
{
	return crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)len, crc);
}

static inline uint32_t crc_digest(uint32_t crc)
{
	return ~crc;
}

#endif
