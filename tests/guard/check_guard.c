/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_guard.c - each crime that a guard knows is planted, and nothing else is found
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guard/guard_scene.h"
#include "support/emulated.h"

/* ---- crimes ---- */

START_TEST(a_change_in_flight_is_reported_with_its_place)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	/* an edge, which is compared in either mode */
	send_and_finish(&heard, scene.buffer + 100, PAGES * PAGE - 200);
	poke(scene.buffer + PAGES * PAGE - 101);
	ck_assert_uint_eq(scene.found.count, 0);
	prove();
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(scene.found.last.id.bits == heard.id.bits);
	ck_assert_ptr_eq(scene.found.last.conn, scene.conn);
	ck_assert_uint_eq(scene.found.last.send, 0);
	ck_assert_uint_eq(scene.found.last.send_bytes, PAGES * PAGE - 200);
	ck_assert_uint_eq(scene.found.last.offset_bytes + scene.found.last.len_bytes,
			  PAGES * PAGE - 200);
	ck_assert_uint_le(scene.found.last.len_bytes, BLOCK);
	ck_assert_ptr_eq(scene.found.last.address,
			 scene.buffer + 100 + scene.found.last.offset_bytes);
	ck_assert_ptr_nonnull(strstr(scene.found.text, "memory in flight was changed"));
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 1);
	close_scene();
}
END_TEST

START_TEST(a_change_before_an_abort_is_reported)
{
	struct heard heard = {0};

	open_scene(0);
	scene.stub.room_bytes = _i ? PAGE : 0; /* part of it in the kernel, or nothing */
	send_and_finish(&heard, scene.buffer, 2 * PAGE);
	poke(scene.buffer + PAGE + 1);
	ck_assert_int_eq(zcreq_conn_abort(scene.conn, -EIO), 0);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert_uint_eq(scene.found.last.offset_bytes, PAGE);
	close_scene();
}
END_TEST

START_TEST(memory_unmapped_in_flight_is_reported)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert_int_eq(munmap(scene.buffer + PAGE, 2 * PAGE), 0);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_UNMAPPED);
	ck_assert_uint_eq(scene.found.last.offset_bytes, PAGE);
	ck_assert_uint_eq(scene.found.last.len_bytes, 2 * PAGE);
	ck_assert_ptr_nonnull(strstr(scene.found.text, "memory in flight was unmapped"));
	/* what is left is the program's again */
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + 3 * PAGE));
	close_scene();
}
END_TEST

/* Somebody else's memory by now: its protection is not the guard's to change. */
START_TEST(memory_mapped_anew_keeps_its_own_protection)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert(mmap(scene.buffer, PAGE, PROT_READ | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == scene.buffer);
	prove();
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(!can_write(scene.buffer) && can_write(scene.buffer + PAGE));
	close_scene();
}
END_TEST

/* Freed to the heap, which keeps the pages and writes to them. */
START_TEST(memory_freed_in_flight_is_reported)
{
	struct heard heard = {0};
	char *freed = malloc(2048), *neighbour = malloc(2048);

	open_scene(0);
	memset(freed, 'a', 2048);
	send_and_finish(&heard, freed, 2048);
	free(freed);
	freed = malloc(2048);
	memset(freed, 'b', 2048);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_CHANGED);
	free(freed);
	free(neighbour);
	close_scene();
}
END_TEST

START_TEST(a_write_to_a_protected_page_is_reported_at_its_instruction)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer + 100, PAGES * PAGE - 100);
	poke(scene.buffer + 3 * PAGE + 7);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_WRITTEN);
	ck_assert_uint_eq(scene.found.last.offset_bytes, 3 * PAGE + 7 - 100);
	ck_assert_ptr_eq(scene.found.last.address, scene.buffer + 3 * PAGE + 7);
	ck_assert(scene.found.last.id.bits == heard.id.bits);
	ck_assert_int_eq(scene.buffer[3 * PAGE + 7], 'b'); /* it went on */
	poke(scene.buffer + 4 * PAGE);
	ck_assert_uint_eq(scene.found.count, 2);
	prove();
	ck_assert_uint_eq(scene.found.count, 3); /* and the sums say it too */
	poke(scene.buffer + 5 * PAGE);
	ck_assert_uint_eq(scene.found.count, 3);
	close_scene();
}
END_TEST

START_TEST(a_system_call_that_writes_to_a_protected_page_fails)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	ck_assert(!can_write(scene.buffer + PAGE));
	prove();
	ck_assert(can_write(scene.buffer + PAGE));
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

/* Two contexts, three sends: a page is protected until the last has gone. */
START_TEST(overlapping_sends_count_their_pages)
{
	struct zcreq_context *other;
	struct stub stub;
	struct zcreq_conn *conn;
	struct heard heard[3] = {{0}};
	zcreq_id id;

	open_scene(ZCREQ_GUARD_PROTECT);
	other = guarded_context(ZCREQ_GUARD_PROTECT | ZCREQ_GUARD_CONTINUE);
	stub_init(&stub);
	conn = stub_open(&stub, other, NULL, NULL);
	send_and_finish(&heard[0], scene.buffer, 4 * PAGE);
	send_and_finish(&heard[1], scene.buffer + 2 * PAGE, 4 * PAGE);
	id = heard_begin(conn, &heard[2]);
	stub_send(conn, id, scene.buffer + 3 * PAGE + 1, 4 * PAGE);
	ck_assert_int_eq(zcreq_finish(other, id, 0), 0);

	stub_notify(&scene.stub, 0, 0, false);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	zcreq_turn(scene.context, 0);
	for (int page = 0; page < PAGES; page++)
		ck_assert_int_eq(can_write(scene.buffer + page * PAGE), page < 2 || page > 6);
	stub_notify(&scene.stub, 1, 1, false);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLERR), 0);
	zcreq_turn(scene.context, 0);
	for (int page = 0; page < PAGES; page++)
		ck_assert_int_eq(can_write(scene.buffer + page * PAGE), page < 4 || page > 6);
	poke(scene.buffer + 5 * PAGE);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_ptr_eq(scene.found.last.conn, conn);
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(scene.context, 0);
	zcreq_conn_free(conn);
	zcreq_turn(other, 0);
	ck_assert_int_eq(zcreq_context_free(other), 0);
	close_scene();
}
END_TEST

START_TEST(both_owners_of_a_page_hear_of_a_write)
{
	struct heard heard[2] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard[0], scene.buffer, 4 * PAGE);
	send_and_finish(&heard[1], scene.buffer + PAGE, 4 * PAGE);
	poke(scene.buffer + PAGE);
	ck_assert_uint_eq(scene.found.count, 2);
	ck_assert(scene.found.last.id.bits == heard[1].id.bits);
	prove();
	close_scene();
}
END_TEST

/* In one of several iovecs, in whatever order they lie. */
START_TEST(a_write_is_placed_in_its_iovec)
{
	static const struct {
		unsigned at, offset;
	} rows[] = {
		{4 * PAGE, 0}, {6 * PAGE - 1, 2 * PAGE - 1}, {8 * PAGE - 1, 3 * PAGE - 1},
		{7, 3 * PAGE + 7},
	};
	struct heard heard = {0};
	struct iovec iov[4];

	open_scene(ZCREQ_GUARD_PROTECT);
	iov[0] = (struct iovec){scene.buffer + 4 * PAGE, 2 * PAGE};
	iov[1] = (struct iovec){scene.buffer + 7 * PAGE, PAGE};
	iov[2] = (struct iovec){scene.buffer, PAGE + 100};
	iov[3] = (struct iovec){scene.buffer + PAGE + 100, PAGE - 100};
	send_iovecs_and_finish(&heard, iov, COUNT(iov));
	for (unsigned i = 0; i < COUNT(rows); i++) {
		poke(scene.buffer + rows[i].at);
		ck_assert_uint_eq(scene.found.count, i + 1);
		ck_assert_uint_eq(scene.found.last.offset_bytes, rows[i].offset);
		ck_assert_uint_eq(scene.found.last.send_bytes, 5 * PAGE);
		ck_assert_uint_eq(scene.found.last.len_bytes, 0);
		ck_assert_ptr_eq(scene.found.last.address, scene.buffer + rows[i].at);
	}
	/* no iovec has this page wholly */
	ck_assert(can_write(scene.buffer + PAGE));
	prove();
	close_scene();
}
END_TEST

/* The page is protected for one send, and has the end of another, and of a third nothing. */
START_TEST(whoever_has_the_byte_hears_of_a_write)
{
	struct heard heard[3] = {{0}};

	open_scene(ZCREQ_GUARD_PROTECT);
	send_and_finish(&heard[0], scene.buffer + 2 * PAGE, PAGE);
	send_and_finish(&heard[1], scene.buffer + PAGE, PAGE + 100);
	send_and_finish(&heard[2], scene.buffer + 3 * PAGE, PAGE);
	poke(scene.buffer + 2 * PAGE + (_i ? 99 : 100));
	ck_assert_uint_eq(scene.found.count, _i ? 2 : 1);
	ck_assert(scene.found.last.id.bits == heard[_i].id.bits);
	ck_assert_uint_eq(scene.found.last.send, _i);
	prove();
	close_scene();
}
END_TEST

/* More than one page of the guard's own table. */
START_TEST(one_of_many_sends_is_named)
{
	enum { MANY = 1000 };
	static struct heard heard[MANY];
	static char memory[MANY];

	open_scene(0);
	for (unsigned i = 0; i < MANY; i++)
		send_and_finish(&heard[i], memory + i, 1);
	poke(memory + 700);
	prove();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert(scene.found.last.id.bits == heard[700].id.bits);
	ck_assert_uint_eq(scene.found.last.send, 700);
	ck_assert_ptr_eq(scene.found.last.address, memory + 700);
	close_scene();
}
END_TEST

/* What the report says in words is what its members say. */
START_TEST(the_words_of_a_report)
{
	struct heard heard[2] = {{0}};
	char words[200];

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard[0], scene.buffer, PAGE);
	send_and_finish(&heard[1], scene.buffer, 2 * PAGE);
	poke(scene.buffer + PAGE + 300);
	if (!_i)
		prove_send(1);
	snprintf(words, sizeof(words),
		 "zcreq guard: memory in flight %s: request %016llx, send 1 on descriptor %d: "
		 "byte %d of %d, at %p%s",
		 _i ? "is written to" : "was changed", (unsigned long long)heard[1].id.bits,
		 STUB_FD, _i ? PAGE + 300 : PAGE + BLOCK, 2 * PAGE,
		 (void *)(scene.buffer + PAGE + (_i ? 300 : BLOCK)),
		 _i ? "" : ", 256 bytes in a run");
	ck_assert_str_eq(scene.found.text, words);
	ck_assert_int_eq(scene.found.last.fd, STUB_FD);
	prove();
	close_scene();
}
END_TEST

/* ---- what is left as it was ---- */

START_TEST(memory_that_was_read_only_stays_so)
{
	struct heard heard = {0};

	open_scene(ZCREQ_GUARD_PROTECT);
	ck_assert_int_eq(mprotect(scene.buffer + PAGE, PAGE, PROT_READ), 0);
	send_and_finish(&heard, scene.buffer, PAGES * PAGE);
	prove();
	ck_assert(!can_write(scene.buffer + PAGE));
	ck_assert(can_write(scene.buffer) && can_write(scene.buffer + 2 * PAGE));
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

START_TEST(a_clean_run_reports_nothing)
{
	struct heard heard[50];
	uint64_t seed = _i + 1;

	open_scene(_i & 1 ? ZCREQ_GUARD_PROTECT : 0);
	for (int round = 0; round < 200; round++) {
		memset(heard, 0, sizeof(heard));
		memset(scene.buffer, round, PAGES * PAGE);
		for (size_t i = 0; i < COUNT(heard); i++) {
			size_t from = suite_random(&seed) % (PAGES * PAGE);
			size_t len = 1 + suite_random(&seed) % (PAGES * PAGE - from);

			send_and_finish(&heard[i], scene.buffer + from, len);
		}
		prove();
		for (size_t i = 0; i < COUNT(heard); i++)
			CLAIM(heard[i].released == 1);
	}
	ck_assert_uint_eq(scene.found.count, 0);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 0);
	close_scene();
}
END_TEST

/* A send that cannot be read was never as it was; that is for sendmsg to say. */
START_TEST(memory_that_was_never_readable_is_no_crime)
{
	struct heard heard = {0};

	open_scene(_i ? ZCREQ_GUARD_PROTECT : 0);
	send_and_finish(&heard, scene.buffer - 100, 200);
	prove();
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard");
	TCase *crimes = tcase_create("crimes"), *clean = tcase_create("clean");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(crimes, a_change_in_flight_is_reported_with_its_place, 0, 2);
	tcase_add_loop_test(crimes, a_change_before_an_abort_is_reported, 0, 2);
	tcase_add_loop_test(crimes, memory_unmapped_in_flight_is_reported, 0, 2);
	tcase_add_test(crimes, memory_mapped_anew_keeps_its_own_protection);
	tcase_add_test(crimes, memory_freed_in_flight_is_reported);
	tcase_add_test(crimes, a_write_to_a_protected_page_is_reported_at_its_instruction);
	tcase_add_test(crimes, a_system_call_that_writes_to_a_protected_page_fails);
	tcase_add_test(crimes, overlapping_sends_count_their_pages);
	tcase_add_test(crimes, both_owners_of_a_page_hear_of_a_write);
	tcase_add_test(crimes, a_write_is_placed_in_its_iovec);
	tcase_add_loop_test(crimes, whoever_has_the_byte_hears_of_a_write, 0, 2);
	tcase_add_test(crimes, one_of_many_sends_is_named);
	tcase_add_loop_test(crimes, the_words_of_a_report, 0, 2);
	suite_add_tcase(s, crimes);

	tcase_add_test(clean, memory_that_was_read_only_stays_so);
	tcase_add_loop_test(clean, a_clean_run_reports_nothing, 0, 4);
	tcase_add_loop_test(clean, memory_that_was_never_readable_is_no_crime, 0, 2);
	suite_add_tcase(s, clean);
	return suite_run(s);
}
