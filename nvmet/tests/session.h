/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - what a host sends: PDUs put together by hand, for the codec's tests
 *
 * Owns: a growing run of bytes. Written from the specification and not with the
 * target's own writers, so that both would have to be wrong in the same way.
 */
#ifndef TESTS_NVME_SESSION_H
#define TESTS_NVME_SESSION_H

#include <string.h>

#include "../target/crc.h"

#define SESSION_MAX 65536

struct session {
	uint8_t bytes[SESSION_MAX];
	size_t len;
	int hdgst, ddgst;
};

static inline void put8(struct session *s, unsigned value)
{
	s->bytes[s->len++] = (uint8_t)value;
}

static inline void put16(struct session *s, unsigned value)
{
	put8(s, value & 0xff);
	put8(s, value >> 8);
}

static inline void put32(struct session *s, uint32_t value)
{
	put16(s, value & 0xffff);
	put16(s, value >> 16);
}

static inline void put_zero(struct session *s, size_t count)
{
	memset(s->bytes + s->len, 0, count);
	s->len += count;
}

static inline uint32_t crc32c_slow(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;
	int bit;

	while (len--) {
		crc ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static inline void put_ic_req(struct session *s, unsigned hpda, unsigned dgst)
{
	put8(s, 0);
	put8(s, 0);
	put8(s, 128);
	put8(s, 0);
	put32(s, 128);
	put16(s, 0);
	put8(s, hpda);
	put8(s, dgst);
	put32(s, 0);
	put_zero(s, 112);
}

/* Header digest, padding, payload and data digest, behind @hlen bytes at @start. */
static inline void put_rest(struct session *s, size_t start, unsigned hlen, unsigned pad,
			    uint32_t data_len)
{
	size_t data, i;

	if (s->hdgst)
		put32(s, crc32c_slow(s->bytes + start, hlen));
	if (!data_len)
		return;
	put_zero(s, pad);
	data = s->len;
	for (i = 0; i < data_len; i++)
		put8(s, (unsigned)(i * 7 + data_len));
	if (s->ddgst)
		put32(s, crc32c_slow(s->bytes + data, data_len));
}

static inline void put_common(struct session *s, unsigned type, unsigned flags, unsigned hlen,
			      unsigned pad, uint32_t data_len)
{
	unsigned pdo = hlen + (s->hdgst ? 4 : 0);
	uint32_t plen = pdo;

	if (data_len)
		plen += pad + data_len + (s->ddgst ? 4 : 0);
	put8(s, type);
	put8(s, flags | (s->hdgst ? 1u : 0) | (s->ddgst && data_len ? 2u : 0));
	put8(s, hlen);
	put8(s, data_len ? pdo + pad : 0);
	put32(s, plen);
}

static inline void put_capsule(struct session *s, unsigned opcode, unsigned cid, unsigned pad,
			       uint32_t data_len)
{
	size_t start = s->len;

	put_common(s, 4, 0, 72, pad, data_len);
	put8(s, opcode);
	put8(s, 0x40);
	put16(s, cid);
	put_zero(s, 60);
	put_rest(s, start, 72, pad, data_len);
}

static inline void put_h2c(struct session *s, unsigned cid, unsigned tag, uint32_t offset,
			   uint32_t data_len, unsigned flags)
{
	size_t start = s->len;

	put_common(s, 6, flags, 24, 0, data_len);
	put16(s, cid);
	put16(s, tag);
	put32(s, offset);
	put32(s, data_len);
	put32(s, 0);
	put_rest(s, start, 24, 0, data_len);
}

static inline void put_term(struct session *s, unsigned fes, uint32_t data_len)
{
	put8(s, 2);
	put8(s, 0);
	put8(s, 24);
	put8(s, 0);
	put32(s, 24 + data_len);
	put16(s, fes);
	put_zero(s, 14 + data_len);
}

/* Everything that a host may say, after the ICReq. */
static inline void session_whole(struct session *s, int hdgst, int ddgst)
{
	s->len = 0;
	s->hdgst = hdgst;
	s->ddgst = ddgst;
	put_ic_req(s, 0, (hdgst ? 1u : 0) | (ddgst ? 2u : 0));
	put_capsule(s, 0x7f, 1, 0, 1024);
	put_capsule(s, 2, 2, 0, 0);
	put_capsule(s, 1, 3, 52, 512);
	put_h2c(s, 4, 0, 0, 1000, 0);
	put_h2c(s, 4, 0, 1000, 3, 4);
	put_capsule(s, 0, 5, 0, 0);
	put_term(s, 1, 72);
}

#endif
