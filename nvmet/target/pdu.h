/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pdu.h - NVMe/TCP PDUs: bytes in, validated events out; values in, bytes out
 *
 * Owns: the framing of the stream. The reader takes bytes as they come, in pieces
 * of any size, and gives one event at a time; all lengths, flags, offsets and
 * digests are checked before the caller sees anything.
 *
 * Never: reads a socket, allocates, keeps payload, or knows what a command means.
 * Whether a tag or a data range is right depends on commands: the caller's part.
 *
 * Built sans-IO and pull-style, so that it can be fuzzed alone, and so that a
 * connection that may hold no more can stop between two PDUs and leave the rest.
 */
#ifndef NVMET_PDU_H
#define NVMET_PDU_H

#include <stdbool.h>

#include "wire.h"

enum pdu_event {
	PDU_MORE = 1, /* all bytes are used up */
	PDU_HEADER,   /* a header is complete and right: see reader.header */
	PDU_PAYLOAD,  /* a piece of its data */
	PDU_END,      /* the PDU is over; reader.data_digest_bad tells */
	PDU_FATAL,    /* see reader.fes and fei; the reader is of no more use */
};

enum pdu_phase {
	PHASE_COMMON = 1,
	PHASE_HEADER,
	PHASE_PAD,
	PHASE_DATA,
	PHASE_DIGEST,
	PHASE_END,
	PHASE_FATAL,
};

/* A piece of payload: points into the bytes that were handed in. */
struct pdu_piece {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t offset; /* within the PDU's data */
};

struct pdu_reader {
	enum pdu_phase phase;
	bool established; /* past ICReq */
	bool header_digest;
	bool data_digest;
	uint32_t capsule_data_max;
	uint32_t h2c_data_max;

	union {
		uint8_t bytes[sizeof(struct pdu_ic_req) + PDU_DIGEST_LEN];
		struct pdu_common common;
		struct pdu_ic_req ic_req;
		struct pdu_term term;
		struct pdu_capsule_cmd capsule;
		struct pdu_data data;
	} header;
	uint32_t have;      /* bytes of the header, or of the digest, that are here */
	uint32_t pad_left;
	uint32_t data_len;  /* of the PDU that the header belongs to */
	uint32_t data_done;
	uint32_t crc;
	uint8_t digest[PDU_DIGEST_LEN];
	bool data_digest_bad;

	uint16_t fes;
	uint32_t fei;
};

/* What the two ends agreed on; also what the writers need. */
struct pdu_agreed {
	bool header_digest;
	bool data_digest;
	uint32_t data_align; /* of C2HData payload, in bytes */
};

void pdu_reader_init(struct pdu_reader *reader);
void pdu_reader_establish(struct pdu_reader *reader, const struct pdu_agreed *agreed,
			  uint32_t capsule_data_max, uint32_t h2c_data_max);

/* Takes from *bytes and *len what it uses. *piece is written for PDU_PAYLOAD. */
enum pdu_event pdu_read(struct pdu_reader *reader, const uint8_t **bytes, size_t *len,
			struct pdu_piece *piece);

/* Bytes of data that the PDU still lacks. Who knows their place may receive them there, past
 * pdu_read(), and tell of each piece in order: the reader wants no more of them than to see them
 * for the digest. */
uint32_t pdu_data_left(const struct pdu_reader *reader);
void pdu_data_came(struct pdu_reader *reader, const uint8_t *bytes, uint32_t len);

/* Between two PDUs, with no byte of the next one taken. */
bool pdu_reader_idle(const struct pdu_reader *reader);

/* After PDU_FATAL: how much of reader.header to quote in the TermReq. */
size_t pdu_reader_wrong_len(const struct pdu_reader *reader);

/* The writers return the length, header digest included. @to has room for
 * PDU_HEADER_ROOM bytes unless told otherwise. */
#define PDU_HEADER_ROOM 160

size_t pdu_put_ic_resp(void *to, const struct pdu_agreed *agreed, uint32_t h2c_data_max);
size_t pdu_put_resp(void *to, const struct pdu_agreed *agreed, const struct wire_cqe *cqe);
size_t pdu_put_r2t(void *to, const struct pdu_agreed *agreed, uint16_t cid, uint16_t tag,
		   uint32_t offset, uint32_t length);
/* The padding up to the payload is part of the header here. */
size_t pdu_put_c2h(void *to, const struct pdu_agreed *agreed, uint16_t cid, uint8_t flags,
		   uint32_t offset, uint32_t length);
size_t pdu_c2h_header_len(const struct pdu_agreed *agreed);
void pdu_put_digest(void *to, uint32_t crc);
/* Room for PDU_TERM_MAX bytes. Quotes the header that was wrong. */
size_t pdu_put_term(void *to, uint16_t fes, uint32_t fei, const void *wrong, size_t len);

#endif
