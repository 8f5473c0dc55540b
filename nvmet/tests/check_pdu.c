/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_pdu.c - the codec of NVMe/TCP PDUs, against bytes put together by hand
 */
#include <stdio.h>
#include <stdlib.h>

#include "../target/pdu.h"
#include "session.h"
#include "support/suite.h"

#define CAPSULE_MAX 8192
#define H2C_MAX 4096

static struct session session;

/* What a reader made of a session, boiled down so that two can be compared. */
struct outcome {
	unsigned headers, ends, bad_digests;
	uint32_t header_crc, payload_crc;
	uint64_t payload;
	enum pdu_event last;
	uint16_t fes;
	uint32_t fei;
};

static void establish(struct pdu_reader *reader)
{
	struct pdu_agreed agreed = {
		.header_digest = reader->header.ic_req.dgst & 1,
		.data_digest = reader->header.ic_req.dgst & 2,
	};

	pdu_reader_establish(reader, &agreed, CAPSULE_MAX, H2C_MAX);
}

/* Feeds a piece; the piece lies in memory of exactly its size, so that a read past
 * its end is seen. */
static void feed(struct pdu_reader *reader, const uint8_t *bytes, size_t len,
		 struct outcome *outcome)
{
	uint8_t *copy = malloc(len ? len : 1);
	const uint8_t *at = copy;
	struct pdu_piece piece;
	size_t left = len;

	memcpy(copy, bytes, len);
	do {
		outcome->last = pdu_read(reader, &at, &left, &piece);
		ck_assert(at == copy + len - left);
		if (outcome->last == PDU_HEADER) {
			outcome->headers++;
			outcome->header_crc = crc_update(outcome->header_crc, reader->header.bytes,
							 reader->header.common.hlen);
			if (reader->header.common.type == PDU_IC_REQ)
				establish(reader);
		} else if (outcome->last == PDU_PAYLOAD) {
			outcome->payload += piece.len;
			outcome->payload_crc = crc_update(outcome->payload_crc, piece.bytes,
							  piece.len);
		} else if (outcome->last == PDU_END) {
			outcome->ends++;
			outcome->bad_digests += reader->data_digest_bad;
		}
	} while (outcome->last != PDU_MORE && outcome->last != PDU_FATAL);
	outcome->fes = reader->fes;
	outcome->fei = reader->fei;
	free(copy);
}

static struct outcome read_in_two(size_t cut)
{
	struct outcome outcome = {0};
	struct pdu_reader reader;

	pdu_reader_init(&reader);
	feed(&reader, session.bytes, cut, &outcome);
	if (outcome.last == PDU_MORE)
		feed(&reader, session.bytes + cut, session.len - cut, &outcome);
	return outcome;
}

static struct outcome read_whole(void)
{
	return read_in_two(session.len);
}

START_TEST(digest_is_crc32c)
{
	const char *text = "123456789";

	ck_assert_uint_eq(crc_digest(crc_update(CRC_START, text, 9)), 0xe3069283);
	ck_assert_uint_eq(crc32c_slow((const uint8_t *)text, 9), 0xe3069283);
}
END_TEST

START_TEST(whole_session_is_read)
{
	struct outcome outcome;

	session_whole(&session, _i & 1, _i & 2);
	outcome = read_whole();
	ck_assert_int_eq(outcome.last, PDU_MORE);
	ck_assert_uint_eq(outcome.headers, 8);
	ck_assert_uint_eq(outcome.ends, 8);
	ck_assert_uint_eq(outcome.bad_digests, 0);
	ck_assert_uint_eq(outcome.payload, 1024 + 512 + 1000 + 3 + 72);
}
END_TEST

START_TEST(cut_anywhere_makes_no_difference)
{
	struct outcome whole, cut;
	size_t at;

	session_whole(&session, _i & 1, _i & 2);
	whole = read_whole();
	for (at = 0; at <= session.len; at++) {
		cut = read_in_two(at);
		ck_assert_msg(!memcmp(&whole, &cut, sizeof(whole)), "cut at %zu", at);
	}
}
END_TEST

START_TEST(byte_by_byte_makes_no_difference)
{
	struct outcome whole, single = {0};
	struct pdu_reader reader;
	size_t at;

	session_whole(&session, _i & 1, _i & 2);
	whole = read_whole();
	pdu_reader_init(&reader);
	for (at = 0; at < session.len; at++)
		feed(&reader, session.bytes + at, 1, &single);
	ck_assert_uint_eq(single.ends, whole.ends);
	ck_assert_uint_eq(single.payload, whole.payload);
	ck_assert_uint_eq(single.payload_crc, whole.payload_crc);
	ck_assert_uint_eq(single.header_crc, whole.header_crc);
}
END_TEST

/* Some of the data goes past the reader, as where its place is known: as much as there is, or
 * less. */
static struct outcome read_in_place(size_t most)
{
	const uint8_t *at = session.bytes, *end = at + session.len;
	struct outcome outcome = {0};
	struct pdu_reader reader;
	size_t len;

	pdu_reader_init(&reader);
	while (at < end) {
		len = pdu_data_left(&reader);
		if (len > most)
			len = most;
		if (len) {
			outcome.payload += len;
			outcome.payload_crc = crc_update(outcome.payload_crc, at, len);
			pdu_data_came(&reader, at, (uint32_t)len);
			at += len;
		}
		len = at < end;
		feed(&reader, at, len, &outcome);
		at += len;
	}
	return outcome;
}

START_TEST(data_that_goes_past_the_reader_makes_no_difference)
{
	static const size_t most[] = {1, 100, SESSION_MAX};
	struct outcome whole, other;
	size_t i;

	session_whole(&session, _i & 1, _i & 2);
	whole = read_whole();
	for (i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		other = read_in_place(most[i]);
		ck_assert_int_eq(other.last, whole.last);
		ck_assert_uint_eq(other.headers, whole.headers);
		ck_assert_uint_eq(other.ends, whole.ends);
		ck_assert_uint_eq(other.bad_digests, whole.bad_digests);
		ck_assert_uint_eq(other.payload, whole.payload);
		ck_assert_uint_eq(other.header_crc, whole.header_crc);
		ck_assert_uint_eq(other.payload_crc, whole.payload_crc);
	}
}
END_TEST

/* With both digests, a single wrong byte behind the handshake never goes unseen;
 * padding and the host's TermReq are not covered by any digest. */
START_TEST(corrupt_byte_is_noticed)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct outcome whole, outcome;
	size_t at, last;
	unsigned i;

	session_whole(&session, 1, 1);
	session.len -= 24 + 72;
	last = session.len;
	whole = read_whole();
	for (at = 128; at < last; at++) {
		for (i = 0; i < COUNT(flips); i++) {
			session.bytes[at] ^= flips[i];
			outcome = read_whole();
			session.bytes[at] ^= flips[i];
			if (!memcmp(&outcome, &whole, sizeof(whole)))
				continue; /* padding */
			ck_assert_msg(outcome.last == PDU_FATAL || outcome.bad_digests ||
				      outcome.ends < whole.ends, "byte %zu", at);
		}
	}
}
END_TEST

START_TEST(corrupt_byte_without_digests_is_survived)
{
	size_t at;

	session_whole(&session, 0, 0);
	for (at = 0; at < session.len; at++) {
		session.bytes[at] ^= 0xa5;
		read_whole();
		session.bytes[at] ^= 0xa5;
	}
}
END_TEST

START_TEST(truncated_anywhere_waits_for_more)
{
	struct outcome outcome = {0};
	struct pdu_reader reader;
	size_t at;

	session_whole(&session, _i & 1, _i & 2);
	for (at = 0; at < session.len; at++) {
		pdu_reader_init(&reader);
		feed(&reader, session.bytes, at, &outcome);
		ck_assert_int_eq(outcome.last, PDU_MORE);
	}
}
END_TEST

/* One wrong byte in a header, and what the host must be told of it. */
static const struct wrong {
	const char *what;
	int digests;     /* 1 header, 2 data */
	int data;        /* the PDU: a capsule with so much data, or H2CData for -1 */
	size_t place;
	uint8_t value;
	uint16_t fes;
	uint32_t fei;
} wrongs[] = {
	{ "a type that only controllers send", 0, 0, 0, 5, 1, 0 },
	{ "a type that nobody has", 0, 0, 0, 0x42, 1, 0 },
	{ "a second ICReq", 0, 0, 0, 0, 2, 0 },
	{ "a header digest that was not agreed", 0, 0, 1, 1, 1, 1 },
	{ "no header digest where agreed", 1, 0, 1, 0, 1, 1 },
	{ "no data digest where agreed", 2, 512, 1, 0, 1, 1 },
	{ "a data digest without data", 2, 0, 1, 2, 1, 1 },
	{ "LAST on a capsule", 0, 0, 1, 4, 1, 1 },
	{ "SUCCESS from a host", 0, -1, 1, 8, 1, 1 },
	{ "a short header", 0, 0, 2, 71, 1, 2 },
	{ "a long header", 0, 0, 2, 73, 1, 2 },
	{ "payload inside the header", 0, 512, 3, 68, 1, 3 },
	{ "payload off alignment", 0, 512, 3, 74, 1, 3 },
	{ "payload behind the end", 0, 4, 3, 76, 1, 4 },
	{ "a PDU shorter than its header", 0, 0, 4, 71, 1, 4 },
	{ "a capsule with too much data", 0, 512, 6, 1, 1, 4 },
	{ "H2CData above MAXH2CDATA", 0, -1, 6, 1, 5, 0 },
	{ "a length that is not the PDU's", 0, -1, 16, 1, 1, 16 },
};

static void make_wrong(const struct wrong *wrong)
{
	size_t start;

	session.len = 0;
	session.hdgst = wrong->digests & 1;
	session.ddgst = wrong->digests & 2;
	put_ic_req(&session, 0, (unsigned)wrong->digests);
	start = session.len;
	if (wrong->data < 0)
		put_h2c(&session, 1, 0, 0, 512, 4);
	else
		put_capsule(&session, 1, 1, 0, (uint32_t)wrong->data);
	session.bytes[start + wrong->place] = wrong->value;
}

START_TEST(wrong_field_is_named)
{
	const struct wrong *wrong = &wrongs[_i];
	struct outcome outcome;

	make_wrong(wrong);
	outcome = read_whole();
	ck_assert_msg(outcome.last == PDU_FATAL, "%s passed", wrong->what);
	ck_assert_msg(outcome.fes == wrong->fes && outcome.fei == wrong->fei,
		      "%s: fes %u fei %u", wrong->what, outcome.fes, outcome.fei);
	ck_assert_uint_eq(outcome.headers, 1);
}
END_TEST

START_TEST(wrong_header_digest_is_quoted)
{
	struct outcome outcome;

	session.len = 0;
	session.hdgst = 1;
	session.ddgst = 0;
	put_ic_req(&session, 0, 1);
	put_capsule(&session, 1, 1, 0, 0);
	memcpy(session.bytes + session.len - 4, "\x11\x22\x33\x44", 4);
	outcome = read_whole();
	ck_assert_int_eq(outcome.last, PDU_FATAL);
	ck_assert_uint_eq(outcome.fes, 3);
	ck_assert_uint_eq(outcome.fei, 0x44332211);
}
END_TEST

START_TEST(wrong_data_digest_ends_nothing)
{
	struct outcome outcome;

	session.len = 0;
	session.hdgst = 0;
	session.ddgst = 1;
	put_ic_req(&session, 0, 2);
	put_capsule(&session, 1, 1, 0, 512);
	session.bytes[session.len - 10] ^= 1;
	put_capsule(&session, 2, 2, 0, 0);
	outcome = read_whole();
	ck_assert_int_eq(outcome.last, PDU_MORE);
	ck_assert_uint_eq(outcome.ends, 3);
	ck_assert_uint_eq(outcome.bad_digests, 1);
}
END_TEST

START_TEST(nothing_but_ic_req_comes_first)
{
	struct outcome outcome;

	session.len = 0;
	session.hdgst = session.ddgst = 0;
	put_capsule(&session, 1, 1, 0, 0);
	outcome = read_whole();
	ck_assert_int_eq(outcome.last, PDU_FATAL);
	ck_assert_uint_eq(outcome.fes, 2);
}
END_TEST

START_TEST(reader_is_idle_between_pdus_only)
{
	struct outcome outcome = {0};
	struct pdu_reader reader;
	unsigned idle = 0;
	size_t at;

	session_whole(&session, 0, 0);
	pdu_reader_init(&reader);
	for (at = 0; at < session.len; at++) {
		idle += pdu_reader_idle(&reader);
		feed(&reader, session.bytes + at, 1, &outcome);
	}
	ck_assert_uint_eq(idle, 8);
}
END_TEST

/* Every alignment that a host may ask for, with and without header digest. */
START_TEST(c2h_header_is_aligned)
{
	struct pdu_agreed agreed = { .data_align = 4 * ((unsigned)_i + 1) };
	uint8_t bytes[PDU_HEADER_ROOM];
	struct pdu_common common;
	size_t len;
	int digests;

	for (digests = 0; digests < 4; digests++) {
		agreed.header_digest = digests & 1;
		agreed.data_digest = digests & 2;
		memset(bytes, 0xee, sizeof(bytes));
		len = pdu_put_c2h(bytes, &agreed, 7, PDU_F_LAST, 0, 1000);
		memcpy(&common, bytes, sizeof(common));
		ck_assert_uint_eq(len, pdu_c2h_header_len(&agreed));
		ck_assert_uint_eq(len, common.pdo);
		ck_assert_uint_eq(len % agreed.data_align, 0);
		ck_assert_uint_lt(len, 24 + 4 + agreed.data_align);
		ck_assert_uint_eq(le32toh(common.plen), len + 1000 + (digests & 2 ? 4 : 0));
		ck_assert_uint_eq(common.flags, (unsigned)(PDU_F_LAST | digests));
		ck_assert_uint_eq(bytes[len], 0xee);
	}
}
END_TEST

START_TEST(answers_are_laid_out_as_specified)
{
	struct pdu_agreed agreed = { .header_digest = true, .data_align = 4 };
	struct wire_cqe cqe = { .result = htole64(0x1122334455667788), .sqhd = htole16(9),
				.sqid = htole16(2), .cid = htole16(0x1234),
				.status = htole16(0x8002) };
	static const uint8_t want[] = { 5, 1, 24, 0, 28, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44,
					0x33, 0x22, 0x11, 9, 0, 2, 0, 0x34, 0x12, 2, 0x80 };
	uint8_t bytes[PDU_HEADER_ROOM];

	ck_assert_uint_eq(pdu_put_resp(bytes, &agreed, &cqe), 28);
	ck_assert_mem_eq(bytes, want, sizeof(want));
	ck_assert_uint_eq(pdu_put_r2t(bytes, &agreed, 1, 2, 3, 4), 28);
	ck_assert_mem_eq(bytes, "\x09\x01\x18\x00\x1c\x00\x00\x00\x01\x00\x02\x00\x03\x00\x00\x00"
			 "\x04\x00\x00\x00\x00\x00\x00\x00", 24);
	ck_assert_uint_eq(pdu_put_ic_resp(bytes, &agreed, 8192), 128);
	ck_assert_mem_eq(bytes, "\x01\x00\x80\x00\x80\x00\x00\x00\x00\x00\x00\x01\x00\x20\x00", 15);
}
END_TEST

START_TEST(term_req_quotes_what_fits)
{
	uint8_t bytes[PDU_TERM_MAX], wrong[200];

	memset(wrong, 0x77, sizeof(wrong));
	ck_assert_uint_eq(pdu_put_term(bytes, 3, 0x44332211, wrong, sizeof(wrong)), 152);
	ck_assert_mem_eq(bytes, "\x03\x00\x18\x00\x98\x00\x00\x00\x03\x00\x11\x22\x33\x44", 14);
	ck_assert_uint_eq(pdu_put_term(bytes, 1, 2, wrong, 8), 32);
	ck_assert_uint_eq(bytes[31], 0x77);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme pdu");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, digest_is_crc32c);
	tcase_add_loop_test(cases, whole_session_is_read, 0, 4);
	tcase_add_loop_test(cases, cut_anywhere_makes_no_difference, 0, 4);
	tcase_add_loop_test(cases, byte_by_byte_makes_no_difference, 0, 4);
	tcase_add_loop_test(cases, data_that_goes_past_the_reader_makes_no_difference, 0, 4);
	tcase_add_test(cases, corrupt_byte_is_noticed);
	tcase_add_test(cases, corrupt_byte_without_digests_is_survived);
	tcase_add_loop_test(cases, truncated_anywhere_waits_for_more, 0, 4);
	tcase_add_loop_test(cases, wrong_field_is_named, 0, COUNT(wrongs));
	tcase_add_test(cases, wrong_header_digest_is_quoted);
	tcase_add_test(cases, wrong_data_digest_ends_nothing);
	tcase_add_test(cases, nothing_but_ic_req_comes_first);
	tcase_add_test(cases, reader_is_idle_between_pdus_only);
	tcase_add_loop_test(cases, c2h_header_is_aligned, 0, 32);
	tcase_add_test(cases, answers_are_laid_out_as_specified);
	tcase_add_test(cases, term_req_quotes_what_fits);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
