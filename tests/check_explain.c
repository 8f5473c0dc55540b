/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_explain.c - what is waited for, word for word, in every state
 */
#include "suite.h"

#include <errno.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "counting.h"
#include "recorder.h"
#include "stub.h"

#define SECOND ((uint64_t)1000000000)

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static struct heard heard;
static zcreq_hold holds[2];
static const char data[100];

static void setup(void)
{
	context = counting_context(&memory, 0);
	stub_init(&stub);
	conn = stub_open(&stub, context, NULL, NULL);
	heard_begin(conn, &heard);
}

static void teardown(void)
{
	stub.disconnect_error = 0;
	zcreq_conn_free(conn);
	stub_prove_all(&stub);
	zcreq_tick(context, 90 * SECOND);
	ck_assert_uint_eq(heard.released, 1);
	counting_end(&memory, context);
}

static void expect(const char *words)
{
	char text[256];
	int len = zcreq_explain(context, heard.id, text, sizeof(text));

	ck_assert_str_eq(text, words);
	ck_assert_int_eq(len, (int)strlen(words));
}

static void expect_conn(const char *words)
{
	char text[256];
	int len = zcreq_conn_explain(conn, text, sizeof(text));

	ck_assert_str_eq(text, words);
	ck_assert_int_eq(len, (int)strlen(words));
}

static void finish(void)
{
	ck_assert_int_eq(zcreq_finish(context, heard.id, 0), 0);
}

START_TEST(a_request_from_open_to_done)
{
	expect("open, status 0: waits for 0 sends (0 bytes) and 0 holds of the caller "
	       "and its owner's finish");
	stub_send(conn, heard.id, data, 100);
	holds[0] = heard_take(context, &heard);
	expect("open, status 0: waits for 1 send (100 bytes) and 1 hold of the caller "
	       "and its owner's finish");
	stub_send(conn, heard.id, data, 60);
	holds[1] = heard_take(context, &heard);
	finish();
	expect("finished, status 0: waits for 2 sends (160 bytes) and 2 holds of the caller");
	ck_assert_int_eq(zcreq_drop(context, holds[0], 0), 0);
	ck_assert_int_eq(zcreq_drop(context, holds[1], -EIO), 0);
	expect("finished, status -5: waits for 2 sends (160 bytes) and 0 holds of the caller");
	stub_prove_all(&stub);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	expect("done, status -5: waits for dispatch");
	zcreq_dispatch(context);
	ck_assert_int_eq(zcreq_explain(context, heard.id, NULL, 0), -ESTALE);
}
END_TEST

START_TEST(a_request_that_is_aborted_and_not_proven)
{
	stub_send(conn, heard.id, data, 100);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	expect("aborting, status -5: waits for 1 send (100 bytes) and 0 holds of the caller "
	       "and its owner's finish");
	finish();
	expect("aborted-finished, status -5: waits for 1 send (100 bytes) and 0 holds of the "
	       "caller");
	zcreq_tick(context, SECOND);
	zcreq_tick(context, 10 * SECOND);
	expect("quarantined, status -5: waits for 1 send (100 bytes) and 0 holds of the caller");
}
END_TEST

START_TEST(a_connection_to_its_end)
{
	stub.room_bytes = 70;
	expect_conn("open, status 0: 1 request not released; 0 bytes unsent, 0 batches in the "
		    "kernel (ids from 0)");
	stub_send(conn, heard.id, data, 100);
	stub.room_bytes = 0;
	finish();
	expect_conn("open, status 0: 1 request not released; 30 bytes unsent, 1 batches in the "
		    "kernel (ids from 0)");
	ck_assert_int_eq(zcreq_conn_drain(conn, ZCREQ_NEVER), 0);
	expect_conn("draining, status 0: 1 request not released; 30 bytes unsent, 1 batches in "
		    "the kernel (ids from 0)");
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	expect_conn("aborting, status -5: 1 request not released; 0 bytes unsent, 1 batches in "
		    "the kernel (ids from 0), disconnected");
	zcreq_tick(context, SECOND);
	zcreq_tick(context, 10 * SECOND);
	expect_conn("quarantined, status -5: 1 request not released; 0 bytes unsent, 1 batches "
		    "in the kernel (ids from 0), disconnected");
	stub_prove_all(&stub);
	zcreq_tick(context, 20 * SECOND);
	expect_conn("closed, status -5: 0 requests not released; 0 bytes unsent, 0 batches in "
		    "the kernel (ids from 1), disconnected");
}
END_TEST

START_TEST(a_kernel_that_refuses_is_named)
{
	stub_send(conn, heard.id, data, 100);
	finish();
	stub.disconnect_error = -EBUSY;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	expect_conn("aborting, status -5: 1 request not released; 0 bytes unsent, 1 batches in "
		    "the kernel (ids from 0), the kernel refuses to disconnect");
}
END_TEST

START_TEST(a_connection_without_a_socket_has_no_more_to_say)
{
	const struct zcreq_conn_options options = {.size = sizeof(options)};
	struct zcreq_conn *bare;
	char text[64], cut[4] = "xxx";

	ck_assert_int_eq(zcreq_conn_open(context, &options, &bare), 0);
	ck_assert_int_eq(zcreq_conn_explain(bare, text, sizeof(text)), (int)strlen(text));
	ck_assert_str_eq(text, "open, status 0: 0 requests not released");
	ck_assert_int_eq(zcreq_conn_explain(bare, cut, sizeof(cut)), (int)strlen(text));
	ck_assert_str_eq(cut, "ope");
	ck_assert_int_eq(zcreq_conn_explain(bare, NULL, 0), (int)strlen(text));
	/* a text that just fits, and one that just does not */
	for (size_t size = strlen(text); size <= strlen(text) + 2; size++) {
		char fits[64];

		memset(fits, 'x', sizeof(fits));
		ck_assert_int_eq(zcreq_conn_explain(bare, fits, size), (int)strlen(text));
		ck_assert_uint_eq(strlen(fits), size <= strlen(text) ? size - 1 : strlen(text));
		ck_assert_int_eq(fits[size], 'x');
	}
	zcreq_conn_free(bare);
	zcreq_dispatch(context);
	finish();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("explain");
	TCase *words = tcase_create("words");

	tcase_add_checked_fixture(words, setup, teardown);
	tcase_add_test(words, a_request_from_open_to_done);
	tcase_add_test(words, a_request_that_is_aborted_and_not_proven);
	tcase_add_test(words, a_connection_to_its_end);
	tcase_add_test(words, a_kernel_that_refuses_is_named);
	tcase_add_test(words, a_connection_without_a_socket_has_no_more_to_say);
	suite_add_tcase(s, words);
	return suite_run(s);
}
