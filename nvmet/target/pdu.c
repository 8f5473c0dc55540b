/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pdu.c - the reader and the writers of pdu.h
 *
 * Owns: nothing but the struct it is handed.
 * Never: trusts a length before it was compared with what the type allows; looks
 * at a byte twice.
 *
 * A PDU that is wrong in several places is reported for its first wrong field, in
 * the order of the header, as the specification asks. One table says what each
 * type may look like, so the checks are the same few lines for all of them.
 */
#include "pdu.h"

#include <string.h>

#include "crc.h"

#define FIELD_TYPE offsetof(struct pdu_common, type)
#define FIELD_FLAGS offsetof(struct pdu_common, flags)
#define FIELD_HLEN offsetof(struct pdu_common, hlen)
#define FIELD_PDO offsetof(struct pdu_common, pdo)
#define FIELD_PLEN offsetof(struct pdu_common, plen)
#define FIELD_LENGTH offsetof(struct pdu_data, length)

/* What a host may send. hlen 0: not from a host. */
static const struct pdu_rule {
	uint8_t hlen;
	uint8_t flags;  /* beside the digest flags */
	bool digests;   /* carries digests where agreed */
	bool data;
	bool data_needed;
} rules[] = {
	[PDU_IC_REQ] = { .hlen = sizeof(struct pdu_ic_req) },
	[PDU_H2C_TERM] = { .hlen = sizeof(struct pdu_term), .data = true },
	[PDU_CAPSULE_CMD] = { .hlen = sizeof(struct pdu_capsule_cmd), .digests = true,
			      .data = true },
	[PDU_H2C_DATA] = { .hlen = sizeof(struct pdu_data), .flags = PDU_F_LAST,
			   .digests = true, .data = true, .data_needed = true },
};

void pdu_reader_init(struct pdu_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	reader->phase = PHASE_COMMON;
}

void pdu_reader_establish(struct pdu_reader *reader, const struct pdu_agreed *agreed,
			  uint32_t capsule_data_max, uint32_t h2c_data_max)
{
	reader->established = true;
	reader->header_digest = agreed->header_digest;
	reader->data_digest = agreed->data_digest;
	reader->capsule_data_max = capsule_data_max;
	reader->h2c_data_max = h2c_data_max;
}

bool pdu_reader_idle(const struct pdu_reader *reader)
{
	return reader->phase == PHASE_COMMON && reader->have == 0;
}

size_t pdu_reader_wrong_len(const struct pdu_reader *reader)
{
	size_t hlen = reader->header.common.hlen;

	return reader->have > hlen && hlen >= sizeof(struct pdu_common) ? hlen : reader->have;
}

static enum pdu_event fatal(struct pdu_reader *reader, uint16_t fes, uint32_t fei)
{
	reader->phase = PHASE_FATAL;
	reader->fes = fes;
	reader->fei = fei;
	return PDU_FATAL;
}

/* Moves bytes into the header or digest until @want are there. */
static bool gather(uint8_t *to, uint32_t *have, uint32_t want, const uint8_t **bytes, size_t *len)
{
	size_t take = want - *have;

	if (take > *len)
		take = *len;
	memcpy(to + *have, *bytes, take);
	*have += (uint32_t)take;
	*bytes += take;
	*len -= take;
	return *have == want;
}

/* Whether this PDU has a header digest, and how many bytes the header then is. */
static bool has_header_digest(const struct pdu_reader *reader)
{
	return reader->header_digest && rules[reader->header.common.type].digests;
}

static uint32_t header_len(const struct pdu_reader *reader)
{
	return reader->header.common.hlen + (has_header_digest(reader) ? PDU_DIGEST_LEN : 0u);
}

static bool has_data_digest(const struct pdu_reader *reader)
{
	return reader->data_digest && rules[reader->header.common.type].digests &&
	       reader->data_len > 0;
}

static uint32_t data_max(const struct pdu_reader *reader)
{
	switch (reader->header.common.type) {
	case PDU_CAPSULE_CMD:
		return reader->capsule_data_max;
	case PDU_H2C_DATA:
		return reader->h2c_data_max;
	case PDU_H2C_TERM:
		return PDU_TERM_MAX - sizeof(struct pdu_term);
	default:
		return 0;
	}
}

/* Type, flags and header length: what must hold before more can be gathered. */
static enum pdu_event check_common(struct pdu_reader *reader)
{
	const struct pdu_common *common = &reader->header.common;
	const struct pdu_rule *rule;
	uint8_t must, may;

	if (common->type >= sizeof(rules) / sizeof(rules[0]) || !rules[common->type].hlen)
		return fatal(reader, FES_FIELD, FIELD_TYPE);
	rule = &rules[common->type];
	if (common->type != PDU_H2C_TERM && reader->established == (common->type == PDU_IC_REQ))
		return fatal(reader, FES_SEQUENCE, 0);
	must = has_header_digest(reader) ? PDU_F_HDGST : 0;
	may = rule->flags | must;
	if (rule->digests && reader->data_digest)
		may |= PDU_F_DDGST;
	if ((common->flags & must) != must || (common->flags & ~may))
		return fatal(reader, FES_FIELD, FIELD_FLAGS);
	if (common->hlen != rule->hlen)
		return fatal(reader, FES_FIELD, FIELD_HLEN);
	reader->phase = PHASE_HEADER;
	return PDU_MORE;
}

/* Where the payload starts and how long it is. */
static enum pdu_event check_lengths(struct pdu_reader *reader)
{
	const struct pdu_common *common = &reader->header.common;
	const struct pdu_rule *rule = &rules[common->type];
	uint32_t head = header_len(reader), plen = le32toh(common->plen);
	uint32_t start = rule->digests ? common->pdo : head, tail = 0;

	if (plen < head)
		return fatal(reader, FES_FIELD, FIELD_PLEN);
	if (plen == head && !rule->data_needed) {
		if (common->flags & PDU_F_DDGST)
			return fatal(reader, FES_FIELD, FIELD_FLAGS);
		return PDU_HEADER;
	}
	if (!rule->data)
		return fatal(reader, FES_FIELD, FIELD_PLEN);
	if (rule->digests && reader->data_digest) {
		tail = PDU_DIGEST_LEN;
		if (!(common->flags & PDU_F_DDGST))
			return fatal(reader, FES_FIELD, FIELD_FLAGS);
	}
	if (start < head || start % 4)
		return fatal(reader, FES_FIELD, FIELD_PDO);
	if (plen <= start + tail)
		return fatal(reader, FES_FIELD, FIELD_PLEN);
	reader->data_len = plen - start - tail;
	reader->pad_left = start - head;
	if (reader->data_len > data_max(reader))
		return common->type == PDU_H2C_DATA ? fatal(reader, FES_LIMIT, 0)
						    : fatal(reader, FES_FIELD, FIELD_PLEN);
	if (common->type == PDU_H2C_DATA &&
	    le32toh(reader->header.data.length) != reader->data_len)
		return fatal(reader, FES_FIELD, FIELD_LENGTH);
	return PDU_HEADER;
}

static enum pdu_event check_header(struct pdu_reader *reader)
{
	uint32_t hlen = reader->header.common.hlen, crc, received;
	enum pdu_event event;

	if (has_header_digest(reader)) {
		crc = crc_digest(crc_update(CRC_START, reader->header.bytes, hlen));
		memcpy(&received, reader->header.bytes + hlen, sizeof(received));
		received = le32toh(received);
		if (crc != received)
			return fatal(reader, FES_HDGST, received);
	}
	reader->data_len = 0;
	reader->pad_left = 0;
	reader->data_done = 0;
	reader->data_digest_bad = false;
	reader->crc = CRC_START;
	event = check_lengths(reader);
	if (event == PDU_HEADER) {
		reader->phase = PHASE_PAD;
		reader->have = 0;
	}
	return event;
}

static void skip_padding(struct pdu_reader *reader, const uint8_t **bytes, size_t *len)
{
	size_t take = reader->pad_left < *len ? reader->pad_left : *len;

	*bytes += take;
	*len -= take;
	reader->pad_left -= (uint32_t)take;
	if (!reader->pad_left)
		reader->phase = reader->data_len ? PHASE_DATA : PHASE_END;
}

uint32_t pdu_data_left(const struct pdu_reader *reader)
{
	return reader->phase == PHASE_DATA ? reader->data_len - reader->data_done : 0;
}

void pdu_data_came(struct pdu_reader *reader, const uint8_t *bytes, uint32_t len)
{
	if (has_data_digest(reader))
		reader->crc = crc_update(reader->crc, bytes, len);
	reader->data_done += len;
	if (reader->data_done == reader->data_len)
		reader->phase = has_data_digest(reader) ? PHASE_DIGEST : PHASE_END;
}

static enum pdu_event take_data(struct pdu_reader *reader, const uint8_t **bytes, size_t *len,
				struct pdu_piece *piece)
{
	uint32_t left = pdu_data_left(reader);
	uint32_t take = left < *len ? left : (uint32_t)*len;

	piece->bytes = *bytes;
	piece->len = take;
	piece->offset = reader->data_done;
	pdu_data_came(reader, *bytes, take);
	*bytes += take;
	*len -= take;
	return PDU_PAYLOAD;
}

static void check_data_digest(struct pdu_reader *reader)
{
	uint32_t received;

	memcpy(&received, reader->digest, sizeof(received));
	reader->data_digest_bad = le32toh(received) != crc_digest(reader->crc);
	reader->phase = PHASE_END;
}

enum pdu_event pdu_read(struct pdu_reader *reader, const uint8_t **bytes, size_t *len,
			struct pdu_piece *piece)
{
	uint8_t *header = reader->header.bytes;

	for (;;) {
		if (reader->phase == PHASE_END) {
			reader->phase = PHASE_COMMON;
			reader->have = 0;
			return PDU_END;
		}
		if (reader->phase == PHASE_FATAL)
			return PDU_FATAL;
		if (reader->phase == PHASE_PAD && !reader->pad_left)
			skip_padding(reader, bytes, len);
		else if (*len == 0)
			return PDU_MORE;
		else if (reader->phase == PHASE_PAD)
			skip_padding(reader, bytes, len);
		else if (reader->phase == PHASE_DATA)
			return take_data(reader, bytes, len, piece);
		else if (reader->phase == PHASE_DIGEST) {
			if (gather(reader->digest, &reader->have, PDU_DIGEST_LEN, bytes, len))
				check_data_digest(reader);
		} else if (reader->phase == PHASE_COMMON) {
			if (gather(header, &reader->have, sizeof(struct pdu_common), bytes, len) &&
			    check_common(reader) == PDU_FATAL)
				return PDU_FATAL;
		} else if (gather(header, &reader->have, header_len(reader), bytes, len)) {
			return check_header(reader);
		}
	}
}

/* Fills the common header and puts the header digest behind @hlen bytes. */
static size_t seal(void *to, const struct pdu_agreed *agreed, uint8_t type, uint8_t flags,
		   uint8_t hlen, uint8_t pdo, uint32_t plen)
{
	struct pdu_common common = { .type = type, .flags = flags, .hlen = hlen, .pdo = pdo };
	size_t len = hlen;

	if (agreed->header_digest) {
		common.flags |= PDU_F_HDGST;
		len += PDU_DIGEST_LEN;
	}
	common.plen = htole32(plen ? plen : (uint32_t)len);
	memcpy(to, &common, sizeof(common));
	if (agreed->header_digest)
		pdu_put_digest((uint8_t *)to + hlen, crc_update(CRC_START, to, hlen));
	return len;
}

void pdu_put_digest(void *to, uint32_t crc)
{
	uint32_t digest = htole32(crc_digest(crc));

	memcpy(to, &digest, sizeof(digest));
}

size_t pdu_put_ic_resp(void *to, const struct pdu_agreed *agreed, uint32_t h2c_data_max)
{
	struct pdu_ic_resp resp = {
		.common = { .type = PDU_IC_RESP, .hlen = sizeof(resp),
			    .plen = htole32(sizeof(resp)) },
		.dgst = (agreed->header_digest ? PDU_IC_DGST_HEADER : 0) |
			(agreed->data_digest ? PDU_IC_DGST_DATA : 0),
		.maxh2cdata = htole32(h2c_data_max),
	};

	memcpy(to, &resp, sizeof(resp));
	return sizeof(resp);
}

size_t pdu_put_resp(void *to, const struct pdu_agreed *agreed, const struct wire_cqe *cqe)
{
	memcpy((uint8_t *)to + sizeof(struct pdu_common), cqe, sizeof(*cqe));
	return seal(to, agreed, PDU_CAPSULE_RESP, 0, sizeof(struct pdu_capsule_resp), 0, 0);
}

static void put_data_fields(void *to, uint16_t cid, uint16_t tag, uint32_t offset, uint32_t length)
{
	struct pdu_data data = {
		.cccid = htole16(cid),
		.ttag = htole16(tag),
		.offset = htole32(offset),
		.length = htole32(length),
	};

	memcpy(to, &data, sizeof(data));
}

size_t pdu_put_r2t(void *to, const struct pdu_agreed *agreed, uint16_t cid, uint16_t tag,
		   uint32_t offset, uint32_t length)
{
	put_data_fields(to, cid, tag, offset, length);
	return seal(to, agreed, PDU_R2T, 0, sizeof(struct pdu_data), 0, 0);
}

size_t pdu_c2h_header_len(const struct pdu_agreed *agreed)
{
	size_t len = sizeof(struct pdu_data) + (agreed->header_digest ? PDU_DIGEST_LEN : 0);
	size_t align = agreed->data_align;

	return align > 1 ? (len + align - 1) / align * align : len;
}

size_t pdu_put_c2h(void *to, const struct pdu_agreed *agreed, uint16_t cid, uint8_t flags,
		   uint32_t offset, uint32_t length)
{
	size_t pdo = pdu_c2h_header_len(agreed), plen = pdo + length, len;

	if (agreed->data_digest) {
		flags |= PDU_F_DDGST;
		plen += PDU_DIGEST_LEN;
	}
	put_data_fields(to, cid, 0, offset, length);
	len = seal(to, agreed, PDU_C2H_DATA, flags, sizeof(struct pdu_data), (uint8_t)pdo,
		   (uint32_t)plen);
	memset((uint8_t *)to + len, 0, pdo - len);
	return pdo;
}

size_t pdu_put_term(void *to, uint16_t fes, uint32_t fei, const void *wrong, size_t len)
{
	struct pdu_term term = {
		.common = { .type = PDU_C2H_TERM, .hlen = sizeof(term) },
		.fes = htole16(fes),
		.fei_low = htole16((uint16_t)fei),
		.fei_high = htole16((uint16_t)(fei >> 16)),
	};

	if (len > PDU_TERM_MAX - sizeof(term))
		len = PDU_TERM_MAX - sizeof(term);
	term.common.plen = htole32((uint32_t)(sizeof(term) + len));
	memcpy(to, &term, sizeof(term));
	memcpy((uint8_t *)to + sizeof(term), wrong, len);
	return sizeof(term) + len;
}
