/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_pdu.c - the NVMe/TCP reader on any bytes, cut in any way
 *
 * The first byte of an input chooses digests, and whether data goes past the reader to its
 * place; the second how the rest is cut. What must hold: all bytes are used up or the reader is
 * dead; pieces lie within what was handed in, follow each other and add up to the length in the
 * header.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "pdu.h"

enum { HEADER_DIGEST = 1, DATA_DIGEST = 2, PAST_THE_READER = 4 };

static void on_header(struct pdu_reader *reader, unsigned choice)
{
	struct pdu_agreed agreed = {
		.header_digest = choice & HEADER_DIGEST, .data_digest = choice & DATA_DIGEST,
	};

	if (reader->header.common.type == PDU_IC_REQ)
		pdu_reader_establish(reader, &agreed, 8192, 131072);
	must(reader->data_len <= 131072, "no PDU has more data than was agreed");
}

/* What of the data is here already goes to its place, and the reader is told. */
static uint32_t place(struct pdu_reader *reader, const uint8_t **at, size_t *left)
{
	uint32_t some = pdu_data_left(reader);

	if (some > *left)
		some = (uint32_t)*left;
	if (some)
		pdu_data_came(reader, *at, some);
	*at += some;
	*left -= some;
	return some;
}

/* One piece of input; false when the reader is dead. */
static int feed(struct pdu_reader *reader, const uint8_t *bytes, size_t len, unsigned choice,
		uint32_t *offset)
{
	uint8_t *copy = malloc(len ? len : 1);
	const uint8_t *at = copy;
	struct pdu_piece piece;
	enum pdu_event event;
	size_t left = len;

	must(copy != NULL, "memory");
	memcpy(copy, bytes, len);
	do {
		if (choice & PAST_THE_READER)
			*offset += place(reader, &at, &left);
		event = pdu_read(reader, &at, &left, &piece);
		if (event == PDU_HEADER) {
			on_header(reader, choice);
			*offset = 0;
		} else if (event == PDU_PAYLOAD) {
			must(piece.bytes >= copy && piece.bytes + piece.len <= copy + len,
			     "a piece lies in the input");
			must(piece.len > 0 && piece.offset == *offset, "pieces follow");
			*offset += piece.len;
		} else if (event == PDU_END) {
			must(*offset == reader->data_len, "pieces add up");
		}
	} while (event != PDU_MORE && event != PDU_FATAL);
	must(event == PDU_FATAL || left == 0, "all is used up");
	must(event != PDU_FATAL || (reader->fes >= 1 && reader->fes <= 6 &&
				    pdu_reader_wrong_len(reader) <= sizeof(reader->header)),
	     "a fatal error can be told");
	free(copy);
	return event != PDU_FATAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct pdu_reader reader;
	unsigned choice, step;
	uint32_t offset = 0;
	size_t some;

	if (len < 2)
		return 0;
	choice = bytes[0];
	step = bytes[1] ? bytes[1] : 4096;
	pdu_reader_init(&reader);
	for (bytes += 2, len -= 2; len; bytes += some, len -= some) {
		some = len < step ? len : step;
		if (!feed(&reader, bytes, some, choice, &offset))
			break;
	}
	return 0;
}
