/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_guard.c - the guard on the real kernel: the crimes that it is made for, and
 * the accidents that are none
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <zcreq/guard.h>

#include "real/sender.h"
#include "real/load.h"
#include "real/real.h"

#define ARENA_BYTES (8 << 20)
#define EACH_BYTES 65536
#define REQUESTS 64

static struct load load;
static struct zcreq_guard_report last;
static volatile unsigned reports; /* of a signal handler, too */

static const struct net_pair unread = {.near_sndbuf = 32 << 20, .far_rcvbuf = 16384};

static void note(const struct zcreq_guard_report *report, void *arg)
{
	(void)arg;
	last = *report;
	reports++;
}

/* Loop tests run with both kinds of guard. */
static void open_guarded(int protect)
{
	const struct zcreq_guard_options guard = {
		.size = sizeof(guard),
		.flags = ZCREQ_GUARD_CONTINUE | (protect ? ZCREQ_GUARD_PROTECT : 0),
		.report = note,
	};

	load_init_with(&load, ARENA_BYTES, NULL);
	ck_ok(zcreq_guard_attach(load.context, &guard));
	load_connect(&load, &unread, NULL);
}

static void nothing(void)
{
}

static void teardown(void)
{
	load_deinit(&load);
}

/* The program recycles in released and not before, so nothing is to be found. */
START_TEST(a_healthy_connection_reports_nothing)
{
	open_guarded(_i);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load_for(&load, 20);
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_eq(load.failed, 0);
	ck_ok(load_drain(&load, 0));
	ck_assert(load_until(&load, load_closed, 5000));
	load_check_ledger(&load);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

START_TEST(an_abort_with_the_cable_cut_reports_nothing)
{
	open_guarded(_i);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(net_cut(&load.net, true));
	ck_ok(load_abort(&load, -ETIMEDOUT));
	ck_assert(load_until(&load, load_closed, 10000));
	load_check_ledger(&load);
	ck_assert_uint_eq(reports, 0);
}
END_TEST

/* The request whose memory it was is named; the peer has got what it should not. */
START_TEST(a_recycled_buffer_is_reported_when_its_proof_comes)
{
	open_guarded(0);
	load_submit(&load, REQUESTS, EACH_BYTES);
	load.arena[40 * EACH_BYTES + 5000] = LOAD_RECYCLED;
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_eq(reports, 1);
	ck_assert_int_eq(last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(last.id.bits == load.requests[40].id.bits);
	ck_assert_uint_eq(last.send, 40);
	ck_assert_uint_eq(last.offset_bytes, 5000 / 256 * 256);
	ck_assert_int_eq(last.fd, zcreq_stream_fd(load.conn));
	ck_assert(load_until(&load, load_all_received, 5000));
	ck_assert_uint_eq(load.foreign_bytes, 1);
	load.foreign_bytes = 0;
	load.wrong_bytes = 0;
}
END_TEST

START_TEST(a_recycled_buffer_is_reported_after_an_abort)
{
	open_guarded(0);
	load_submit(&load, REQUESTS, EACH_BYTES);
	ck_ok(net_cut(&load.net, true));
	load.arena[3 * EACH_BYTES] = LOAD_RECYCLED;
	ck_ok(load_abort(&load, -ETIMEDOUT));
	ck_assert(load_until(&load, load_closed, 10000));
	ck_assert_uint_eq(reports, 1);
	ck_assert_int_eq(last.crime, ZCREQ_GUARD_CHANGED);
	ck_assert(last.id.bits == load.requests[3].id.bits);
}
END_TEST

static void *culprit(void *address)
{
	*(volatile uint8_t *)address = LOAD_RECYCLED;
	return NULL;
}

/* From a thread that has nothing to do with the library. */
START_TEST(a_write_is_reported_at_its_instruction)
{
	uint8_t *address;
	pthread_t thread;

	open_guarded(1);
	load_submit(&load, REQUESTS, EACH_BYTES);
	address = load.arena + 7 * EACH_BYTES + 123;
	ck_ok(pthread_create(&thread, NULL, culprit, address));
	ck_ok(pthread_join(thread, NULL));
	ck_assert_uint_eq(reports, 1);
	ck_assert_int_eq(last.crime, ZCREQ_GUARD_WRITTEN);
	ck_assert(last.id.bits == load.requests[7].id.bits);
	ck_assert_uint_eq(last.offset_bytes, 123);
	ck_assert_ptr_eq(last.address, address);
	*address = load_byte(7 * EACH_BYTES + 123);
	load.reading = true;
	ck_assert(load_until(&load, load_all_released, 10000));
	ck_assert_uint_eq(reports, 1);
}
END_TEST

/* @_i: closed, or replaced by another file under the same number. */
START_TEST(a_descriptor_closed_behind_the_library_is_reported)
{
	int fd;

	open_guarded(0);
	load_submit(&load, 1, EACH_BYTES);
	fd = zcreq_stream_fd(load.conn);
	load.abandoned = true;
	if (_i)
		ck_assert_int_eq(dup2(STDIN_FILENO, fd), fd);
	else
		ck_ok(close(fd));
	ck_assert_uint_eq(reports, 0);
	load_write(&load, 1);
	load_flush(&load);
	ck_assert_uint_eq(reports, 1);
	ck_assert_int_eq(last.crime, ZCREQ_GUARD_DESCRIPTOR);
	ck_assert_ptr_eq(last.conn, load.conn);
	ck_assert_int_eq(last.fd, fd);
	ck_assert(last.id.bits == 0);
	load_write(&load, 1);
	load_flush(&load);
	ck_assert_uint_eq(reports, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard");
	TCase *group = real_group(suite, "guard", nothing, teardown, NULL);

	tcase_add_loop_test(group, a_healthy_connection_reports_nothing, 0, 2);
	tcase_add_loop_test(group, an_abort_with_the_cable_cut_reports_nothing, 0, 2);
	tcase_add_test(group, a_recycled_buffer_is_reported_when_its_proof_comes);
	tcase_add_test(group, a_recycled_buffer_is_reported_after_an_abort);
	tcase_add_test(group, a_write_is_reported_at_its_instruction);
	tcase_add_loop_test(group, a_descriptor_closed_behind_the_library_is_reported, 0, 2);
	return real_run(suite, sender_missing());
}
