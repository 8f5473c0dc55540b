/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_exchange.c - a write to a page that is just being exchanged is reported
 *
 * The other thread that writes in the wrong moment is the guard's own hook here, which is called
 * in just that moment: between the copy and the exchange.
 */
#include "support/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zcreq/guard.h>
#include <zcreq/memory.h>

#include "memory/exchange.h"
#include "support/counting.h"
#include "support/emulated.h"
#include "support/recorder.h"
#include "support/stub.h"

#define PAGES 40

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_guard_hooks hooks;
static void (*copied)(void *guard, const void *page, const void *copy, size_t page_bytes);
static size_t page_bytes;
static char *area;
static unsigned reports, looks;
static const char *reported, *victim;

static void report(const struct zcreq_guard_report *what, void *arg)
{
	(void)arg;
	ck_assert_int_eq(what->crime, ZCREQ_GUARD_LOST);
	ck_assert_ptr_nonnull(strstr(what->text, "exchanged"));
	reported = what->address;
	reports++;
}

static void copied_and_written(void *guard, const void *page, const void *copy, size_t bytes)
{
	copied(guard, page, copy, bytes);
	looks++;
	if (victim)
		(*(char *)victim)++;
}

static void setup(void)
{
	const struct zcreq_guard_options options = {
		.size = sizeof(options), .flags = ZCREQ_GUARD_CONTINUE, .report = report,
	};
	struct zcreq_context_options with = {.size = sizeof(with)};

	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	counting_init(&memory);
	with.allocator = &memory.allocator;
	ck_assert_int_eq(zcreq_context_new(&with, &context), 0);
	ck_assert_int_eq(zcreq_guard_attach(context, &options), 0);
	hooks = *context->guard_hooks;
	copied = hooks.page_copied;
	hooks.page_copied = copied_and_written;
	context->guard_hooks = &hooks;
	area = mmap(NULL, PAGES * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	memset(area, 'a', PAGES * page_bytes);
}

static void teardown(void)
{
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ck_assert_uint_eq(memory.live, 0);
}

static int exchange(size_t from, size_t to, unsigned flags)
{
	const struct iovec lent = {area + from, to - from};

	return zcreq_exchange(context, &lent, 1, flags);
}

START_TEST(a_lost_write_is_reported_with_its_place)
{
	victim = area + 100;
	ck_assert_int_eq(exchange(200, page_bytes, _i ? ZCREQ_DETACH_DISCARD : 0), 0);
	ck_assert_uint_eq(reports, 1);
	ck_assert_ptr_eq(reported, victim);
	ck_assert_int_eq(*victim, 'a');
}
END_TEST

START_TEST(a_write_to_another_page_is_nobodys_loss)
{
	victim = area + 2 * page_bytes;
	ck_assert_int_eq(exchange(200, page_bytes, 0), 0);
	ck_assert_uint_eq(looks, 1);
	ck_assert_uint_eq(reports, 0);
	ck_assert_int_eq(*victim, 'b');
}
END_TEST

START_TEST(pages_that_are_lent_whole_have_no_neighbours)
{
	victim = area + 100;
	ck_assert_int_eq(exchange(0, 3 * page_bytes, 0), 0);
	ck_assert_uint_eq(looks, 0);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

START_TEST(both_ends_of_a_range_are_looked_at)
{
	victim = area + 2 * page_bytes + 100;
	ck_assert_int_eq(exchange(200, 2 * page_bytes + 50, 0), 0);
	ck_assert_uint_eq(looks, 2);
	ck_assert_ptr_eq(reported, victim);
}
END_TEST

START_TEST(more_pages_than_it_looks_at_are_exchanged_all_the_same)
{
	struct iovec lent[PAGES / 2];

	for (int i = 0; i < PAGES / 2; i++)
		lent[i] = (struct iovec){area + (size_t)i * 2 * page_bytes + 10, 10};
	victim = area + 5;
	ck_assert_int_eq(zcreq_exchange(context, lent, PAGES / 2, 0), 0);
	ck_assert_uint_eq(looks, PAGES / 2);
	ck_assert_uint_eq(reports, 1);
}
END_TEST

static void limit_descriptors(int more)
{
	const int lowest = dup(0);
	const struct rlimit limit = {(rlim_t)(lowest + more), (rlim_t)(lowest + more)};

	close(lowest);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* There is one for smaps, and not two for a pipe. */
START_TEST(without_descriptors_it_does_not_look)
{
	limit_descriptors(1);
	victim = area + 100;
	ck_assert_int_eq(exchange(200, page_bytes, 0), 0);
	ck_assert_uint_eq(looks, 1);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

START_TEST(an_exchange_that_was_not_made_loses_nothing)
{
	copied(context->guard, area, area + page_bytes, page_bytes);
	area[1]++;
	context->guard_hooks->pages_exchanged(context->guard, false);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

START_TEST(a_page_that_is_not_there_is_not_looked_at)
{
	copied(context->guard, (void *)(uintptr_t)page_bytes, area, page_bytes);
	context->guard_hooks->pages_exchanged(context->guard, true);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

/* Whoever detaches with a guard keeps what the buffers hold, for it is compared. */
START_TEST(a_guarded_send_is_detached_and_kept)
{
	struct stub stub;
	struct zcreq_stream_options stream = stub_options(&stub);
	struct heard heard = {0};
	struct zcreq_conn *conn;

	stub_init(&stub);
	stream = stub_options(&stub);
	stub.keeps = true;
	stream.flags = ZCREQ_STREAM_DETACH;
	ck_assert_int_eq(zcreq_stream_open(context, &stream, &conn), 0);
	heard_begin(conn, &heard);
	stub_send(conn, heard.id, area, 2 * page_bytes);
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, 1000000000);
	ck_assert_int_eq(zcreq_conn_detach(conn, ZCREQ_DETACH_DISCARD), 0);
	ck_assert_int_eq(area[page_bytes], 'a');
	zcreq_turn(context, 1000000000);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(reports, 0);
	stub_prove_all(&stub);
	zcreq_conn_free(conn);
	zcreq_turn(context, 2000000000);
}
END_TEST

/* As every finding does, without ZCREQ_GUARD_CONTINUE. */
START_TEST(a_lost_write_ends_the_program)
{
	struct zcreq_context *strict;
	const struct zcreq_guard_options options = {.size = sizeof(options), .report = report};
	const struct iovec lent = {area + 200, page_bytes};

	ck_assert_int_eq(zcreq_context_new(NULL, &strict), 0);
	ck_assert_int_eq(zcreq_guard_attach(strict, &options), 0);
	strict->guard_hooks = &hooks;
	victim = area + 100;
	(void)zcreq_exchange(strict, &lent, 1, 0);
}
END_TEST

/* A program that can have no more mappings. */
START_TEST(without_memory_there_is_no_guard)
{
	const struct zcreq_guard_options options = {.size = sizeof(options), .report = report};
	const struct rlimit none = {1 << 20, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	struct zcreq_context *other;
	int ret;

	ck_assert_int_eq(zcreq_context_new(NULL, &other), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &none), 0);
	ret = zcreq_guard_attach(other, &options);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &all), 0);
	ck_assert_int_eq(ret, -ENOMEM);
	ck_assert_int_eq(zcreq_context_free(other), 0);
}
END_TEST

/* What the guard writes down must not be on a page that is being exchanged. */
START_TEST(a_piece_of_the_heap_is_exchanged_with_the_guard_s_own)
{
	char *heap[64];
	const int lowest = dup(0);

	close(lowest);
	for (unsigned i = 0; i < COUNT(heap); i++) {
		const struct iovec lent = {heap[i] = malloc(100), 100};

		memset(heap[i], 'h', 100);
		ck_assert_int_eq(zcreq_exchange(context, &lent, 1, 0), 0);
		ck_assert_int_eq(dup(0), lowest);
		close(lowest);
	}
	for (unsigned i = 0; i < COUNT(heap); i++) {
		ck_assert_int_eq(heap[i][99], 'h');
		free(heap[i]);
	}
	ck_assert_uint_eq(reports, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard, pages exchanged");
	TCase *test = tcase_create("lost writes");

	if (emulated_memory())
		return 77;
	tcase_add_checked_fixture(test, setup, teardown);
	tcase_add_loop_test(test, a_lost_write_is_reported_with_its_place, 0, 2);
	tcase_add_test(test, a_write_to_another_page_is_nobodys_loss);
	tcase_add_test(test, pages_that_are_lent_whole_have_no_neighbours);
	tcase_add_test(test, both_ends_of_a_range_are_looked_at);
	tcase_add_test(test, more_pages_than_it_looks_at_are_exchanged_all_the_same);
	tcase_add_test(test, without_descriptors_it_does_not_look);
	tcase_add_test(test, an_exchange_that_was_not_made_loses_nothing);
	tcase_add_test(test, a_page_that_is_not_there_is_not_looked_at);
	tcase_add_test(test, a_guarded_send_is_detached_and_kept);
	tcase_add_test_raise_signal(test, a_lost_write_ends_the_program, SIGABRT);
#ifdef __SANITIZE_ADDRESS__
	printf("left out: a process without memory, which the address sanitizer ends\n");
	(void)without_memory_there_is_no_guard;
#else
	tcase_add_test(test, without_memory_there_is_no_guard);
#endif
	tcase_add_test(test, a_piece_of_the_heap_is_exchanged_with_the_guard_s_own);
	suite_add_tcase(suite, test);
	return suite_run(suite);
}
