/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_block.c - logical blocks of 512 bytes, eight of which are one block of memory
 *
 * A Write changes what it writes and nothing beside it, wherever it begins and ends, whoever else
 * writes into the same block of memory; a Read sees it so, in PDUs of any size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define LBA 512u
#define LBAS 600u /* that are worked on, from an odd place on, as @BEGIN */
#define BEGIN 3u
#define MIB (1u << 20)
#define OPS 600

static char path[32];

static void start_with(const char *name, const char *value)
{
	char spec[64];
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--block", "512", "--namespace", "mem:8M",
					  "--namespace", spec, name, value, NULL };

	strcpy(path, "check_block.XXXXXX");
	close(mkstemp(path));
	snprintf(spec, sizeof(spec), "file:%s:%u", path, 8 * MIB);
	ck_assert(target_start(&fixture_target, -1, arguments));
}

static void start(void)
{
	start_with(NULL, NULL);
}

static void start_small_pdus(void)
{
	start_with("--c2h-data-max", "4K");
}

static void start_threads(void)
{
	start_with("--threads", "3");
}

static void stop(void)
{
	fixture_stop();
	unlink(path);
}

/* --- one host -------------------------------------------------------------------- */

struct shadow {
	struct ini_controller *controller;
	uint32_t nsid;
	uint32_t random;
	bool zeroes; /* what was deallocated reads as zeroes */
	uint8_t bytes[LBAS * LBA], data[LBAS * LBA];
};

static struct shadow shadow;

static uint32_t random_below(uint32_t limit)
{
	shadow.random = shadow.random * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)shadow.random * limit >> 32);
}

static int transfer(uint8_t opcode, uint32_t at, uint32_t count)
{
	return ini_transfer(shadow.controller, 1, opcode, shadow.nsid, BEGIN + at, count, shadow.data,
			    count * LBA);
}

static int without_data(struct wire_sqe sqe)
{
	return ini_wait(shadow.controller->queues[1], &sqe, NULL, 0, false, 0, NULL, INI_WAIT_MS);
}

static void write_some(uint32_t at, uint32_t count)
{
	for (uint32_t i = 0; i < count * LBA; i += 4) {
		uint32_t word = random_below(UINT32_MAX);

		memcpy(shadow.data + i, &word, 4);
	}
	memcpy(shadow.bytes + at * LBA, shadow.data, count * LBA);
	ck_assert_int_eq(transfer(0x01, at, count), 0);
}

static void read_some(uint32_t at, uint32_t count)
{
	memset(shadow.data, 0xee, count * LBA);
	ck_assert_int_eq(transfer(0x02, at, count), 0);
	ck_assert_msg(!memcmp(shadow.data, shadow.bytes + at * LBA, count * LBA), "%u at %u", count, at);
}

/* What is there is equal; with one bit changed in its first or last byte it is not. */
static void compare_some(uint32_t at, uint32_t count)
{
	uint32_t last = random_below(2) ? count * LBA - 1 : 0;

	memcpy(shadow.data, shadow.bytes + at * LBA, count * LBA);
	ck_assert_int_eq(transfer(0x05, at, count), 0);
	shadow.data[last] ^= 0x40;
	ck_assert_int_eq(transfer(0x05, at, count), 0x285);
}

static void zero_some(uint32_t at, uint32_t count)
{
	memset(shadow.bytes + at * LBA, 0, count * LBA);
	ck_assert_int_eq(without_data(ini_block_sqe(0x08, shadow.nsid, BEGIN + at, count)), 0);
}

static void deallocate_some(uint32_t at, uint32_t count)
{
	struct wire_sqe sqe = { .opcode = 0x09, .nsid = shadow.nsid, .cdw11 = 4 };
	uint64_t range[2] = { (uint64_t)count << 32, BEGIN + at };

	if (!shadow.zeroes)
		return;
	memset(shadow.bytes + at * LBA, 0, count * LBA);
	ck_assert_int_eq(ini_wait(shadow.controller->queues[1], &sqe, range, sizeof(range), true,
				  sizeof(range), NULL, INI_WAIT_MS), 0);
}

static void (*const operations[])(uint32_t at, uint32_t count) = {
	write_some, write_some, read_some, compare_some, zero_some, deallocate_some,
};

static void connect_shadow(uint32_t nsid, bool hdgst, bool ddgst)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, 32);
	static uint8_t page[4096];

	host.options.hdgst = hdgst;
	host.options.ddgst = ddgst;
	memset(&shadow, 0, sizeof(shadow));
	shadow.controller = fixture_connect_host(&host);
	shadow.nsid = nsid;
	shadow.random = nsid;
	ck_assert_int_eq(ini_identify(shadow.controller, 0x00, nsid, page), 0);
	shadow.zeroes = (page[33] & 7) == 1;
	ck_assert_uint_eq(page[130], 9);
}

/* Half of the lengths are within a block or two, the others up to what goes by R2T. */
START_TEST(what_is_written_is_there_and_nothing_else_is_changed)
{
	connect_shadow(1 + (_i & 1), _i & 2, _i & 2);
	write_some(0, LBAS);
	for (int i = 0; i < OPS; i++) {
		uint32_t count = 1 + random_below(i % 2 ? 12 : 200), at = random_below(LBAS - count + 1);

		operations[random_below(sizeof(operations) / sizeof(operations[0]))](at, count);
		if (i % 20 == 0)
			read_some(0, LBAS);
	}
	read_some(0, LBAS);
	ck_assert(ini_controller_shutdown(shadow.controller));
}
END_TEST

START_TEST(every_beginning_and_end_in_a_block_is_read_right)
{
	connect_shadow(1 + (_i & 1), _i & 2, _i & 4);
	write_some(0, LBAS);
	for (uint32_t at = 0; at < 9; at++)
		for (uint32_t count = 1; count < 34; count++)
			read_some(at, count);
	ck_assert(ini_controller_shutdown(shadow.controller));
}
END_TEST

/* 1 MiB (MDTS) from an odd place; one logical block more is too much, and so is the end. */
START_TEST(largest_transfer_may_begin_anywhere)
{
	uint8_t *data = malloc(MIB + LBA), *read = malloc(MIB + LBA);

	connect_shadow(1 + (_i & 1), _i & 2, _i & 2);
	for (uint32_t i = 0; i < MIB; i++)
		data[i] = (uint8_t)(i * 13 + i / 511);
	ck_assert_int_eq(ini_transfer(shadow.controller, 1, 0x01, shadow.nsid, 7, MIB / LBA, data, MIB), 0);
	/* every second block of memory is now in another place, so that each is a piece of its own */
	for (uint32_t lba = 8; lba < MIB / LBA; lba += 16)
		ck_assert_int_eq(ini_transfer(shadow.controller, 1, 0x01, shadow.nsid, lba, 8,
					      data + (lba - 7) * LBA, 8 * LBA), 0);
	ck_assert_int_eq(ini_transfer(shadow.controller, 1, 0x02, shadow.nsid, 7, MIB / LBA, read, MIB), 0);
	ck_assert_int_eq(memcmp(data, read, MIB), 0);
	for (uint8_t opcode = 1; opcode <= 2; opcode++) {
		ck_assert_int_eq(ini_transfer(shadow.controller, 1, opcode, shadow.nsid, 7, MIB / LBA + 1, data,
					      MIB + LBA), 0x02);
		ck_assert_int_eq(ini_transfer(shadow.controller, 1, opcode, shadow.nsid, 8 * MIB / LBA - 1, 1,
					      data, LBA), 0);
		ck_assert_int_eq(ini_transfer(shadow.controller, 1, opcode, shadow.nsid, 8 * MIB / LBA - 1, 2,
					      data, 2 * LBA), 0x80);
	}
	free(data);
	free(read);
	ck_assert(ini_controller_shutdown(shadow.controller));
}
END_TEST

/* --- several ---------------------------------------------------------------------- */

#define WRITERS 8
#define ROUNDS 400

/* Its own logical block of the one block of memory that all of them write. */
struct writer {
	struct ini_controller *controller;
	uint32_t nsid, place, round;
	bool reading;
	uint32_t data[LBA / 4];
};

static void next(struct ini_queue *queue, struct ini_command *command, void *arg)
{
	struct writer *writer = arg;
	struct wire_sqe sqe;

	if (command) {
		ck_assert_uint_eq(ini_status(&command->cqe), 0);
		for (unsigned i = 0; writer->reading && i < LBA / 4; i++)
			ck_assert_msg(writer->data[i] == writer->round, "writer %u, round %u: %u is lost",
				      writer->place, writer->round, writer->data[i]);
		writer->reading = !writer->reading;
		if (!writer->reading && ++writer->round == ROUNDS)
			return;
	}
	for (unsigned i = 0; i < LBA / 4; i++)
		writer->data[i] = writer->reading ? UINT32_MAX : writer->round;
	sqe = ini_block_sqe(writer->reading ? 0x02 : 0x01, writer->nsid, 16 + writer->place, 1);
	ck_assert(ini_submit(queue, &sqe, writer->data, LBA, !writer->reading, LBA, next, writer));
}

/* On three threads, with nothing but the lock between the copy of the rest and the swap. */
START_TEST(writers_of_one_block_of_memory_lose_nothing)
{
	struct ini_controller *controller = fixture_connect(1, WRITERS, 16);
	struct writer writers[WRITERS];
	unsigned done;

	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .controller = controller, .nsid = (uint32_t)_i, .place = i };
		next(controller->queues[1 + i], NULL, &writers[i]);
	}
	do {
		ck_assert(ini_poll(controller->queues + 1, WRITERS, INI_WAIT_MS));
		done = 0;
		for (uint32_t i = 0; i < WRITERS; i++)
			done += writers[i].round == ROUNDS;
	} while (done < WRITERS);
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

static void add_case(Suite *suite, const char *name, void (*begin)(void), const TTest *test, int from, int to)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, begin, stop);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test, from, to);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	Suite *suite = suite_create("nvme block");

	target_need();
	add_case(suite, "one", start, what_is_written_is_there_and_nothing_else_is_changed, 0, 4);
	add_case(suite, "largest", start, largest_transfer_may_begin_anywhere, 0, 4);
	add_case(suite, "PDUs", start_small_pdus, every_beginning_and_end_in_a_block_is_read_right, 0, 8);
	add_case(suite, "small PDUs, largest", start_small_pdus, largest_transfer_may_begin_anywhere, 0, 4);
	add_case(suite, "threads", start_threads, writers_of_one_block_of_memory_lose_nothing, 1, 3);
	return fixture_run(suite);
}
