/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_answers.c - whatever a socket answers: errors at each call, nothing, too much
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>

#include "support/scene.h"

#define FOREIGN_AT_ONCE 1024 /* messages that one reading takes beside its proof */
#define FOREIGN_KEPT 64      /* of these, that wait for a turn */

static struct heard second;

static void teardown(void)
{
	stub.chatter = STUB_SILENT;
	stub.recv_error = 0;
	scene_teardown();
}

/* ---- opening -------------------------------------------------------------- */

static void expect_refused(const struct zcreq_stream_options *with, int error)
{
	struct zcreq_conn *none = NULL;

	ck_assert_int_eq(zcreq_stream_open(context, with, &none), error);
	ck_assert_ptr_null(none);
	ck_assert_uint_eq(stub.closes, 0);
}

/* What kind of socket it is takes three questions. */
START_TEST(each_question_that_fails_refuses_the_socket)
{
	stub.getsockopt_error[_i] = -ENOMEM;
	expect_refused(&options, -ENOMEM);
	ck_assert_uint_eq(stub.getsockopts, _i + 1);
}
END_TEST

START_TEST(data_can_be_sent_in_two_states)
{
	static struct tcp_info info;

	info.tcpi_state = _i;
	stub.info = &info;
	if (_i == 1 || _i == 8) { /* established, close-wait */
		scene_open();
	} else {
		expect_refused(&options, -ENOTCONN);
	}
}
END_TEST

START_TEST(a_user_timeout_that_is_refused_is_an_error)
{
	stub.user_timeout_error = -ENOPROTOOPT;
	options.user_timeout_ms = 1;
	expect_refused(&options, -ENOPROTOOPT);
}
END_TEST

START_TEST(the_longest_user_timeout_is_an_int)
{
	options.user_timeout_ms = (uint32_t)INT_MAX + 1;
	expect_refused(&options, -EINVAL);
	options.user_timeout_ms = INT_MAX;
	scene_open();
}
END_TEST

/* ---- a socket with a past: I13 ---- */

START_TEST(i13_a_socket_that_may_have_used_ids_needs_its_first_id)
{
	static const struct {
		bool on, segments, unsent;
		int expected;
	} rows[] = {
		{.on = false, .segments = true, .unsent = true, .expected = 0},
		{.on = true, .expected = 0},
		{.on = true, .segments = true, .expected = -EBUSY},
		{.on = true, .unsent = true, .expected = -EBUSY},
	};
	static struct tcp_info info;

	info = (struct tcp_info){
		.tcpi_state = 1, .tcpi_data_segs_out = rows[_i].segments,
		.tcpi_notsent_bytes = rows[_i].unsent,
	};
	stub.info = &info;
	stub.zerocopy_on = rows[_i].on;
	if (rows[_i].expected) {
		expect_refused(&options, rows[_i].expected);
		options.mode = ZCREQ_MODE_AUTO;
		expect_refused(&options, rows[_i].expected);
		options.flags = ZCREQ_STREAM_FIRST_ID;
	}
	scene_open();
}
END_TEST

START_TEST(i13_a_past_that_cannot_be_asked_for_is_refused)
{
	stub.info_bytes = offsetof(struct tcp_info, tcpi_data_segs_out) + 3;
	stub.zerocopy_on = true;
	expect_refused(&options, -EBUSY);
	stub.info_bytes++;
	scene_open();
}
END_TEST

/* Mode never uses no ids; nor does a socket without the option. */
START_TEST(i13_a_past_is_nothing_to_who_uses_no_ids)
{
	static const struct tcp_info info = {.tcpi_state = 1, .tcpi_data_segs_out = 1};

	stub.info = &info;
	stub.zerocopy_on = true;
	if (_i)
		stub.no_such_option = true;
	else
		options.mode = ZCREQ_MODE_NEVER;
	scene_open();
}
END_TEST

START_TEST(a_first_id_counts_with_its_flag_only)
{
	options.first_id = 7;
	expect_refused(&options, -EINVAL);
	options.flags = ZCREQ_STREAM_FIRST_ID << 31;
	expect_refused(&options, -EINVAL);
	options.flags = ZCREQ_STREAM_FIRST_ID;
	stub.next_id = stub.unproven = 7;
	scene_open();
	scene_sent();
	scene_prove();
	ck_assert_uint_eq(heard.released, 1);
}
END_TEST

/* What numbers mean elsewhere only that transport knows. */
START_TEST(another_transport_may_have_the_same_descriptor_twice)
{
	struct zcreq_conn *another;

	scene_open();
	another = scene_open_another(&options);
	zcreq_conn_free(another);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(the_largest_options_are_64_kibibytes)
{
	static union {
		struct zcreq_stream_options options;
		char bytes[65537];
	} later;

	later.options = stub_options(&stub);
	later.options.size = 65537;
	expect_refused(&later.options, -EINVAL);
	later.options.size = 65536;
	conn = scene_open_another(&later.options);
}
END_TEST

/* ---- sending -------------------------------------------------------------- */

START_TEST(a_send_of_nothing_waits_for_the_next_event)
{
	heard_begin(conn, &heard);
	stub.takes_nothing = true;
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	stub.takes_nothing = false;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_bytes, sizeof(data));
	scene_finish(0);
}
END_TEST

START_TEST(a_copy_of_nothing_waits_as_well)
{
	heard_begin(conn, &heard);
	stub.zerocopy_error = -EOPNOTSUPP; /* copies from here on */
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_uint_eq(stub.copied_bytes, sizeof(data));
	stub.takes_nothing = true;
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_int_eq(zcreq_events(conn), POLLERR | POLLOUT);
	stub.takes_nothing = false;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.copied_bytes, 2 * sizeof(data));
	scene_finish(0);
}
END_TEST

START_TEST(an_interrupted_send_is_made_sixteen_times)
{
	heard_begin(conn, &heard);
	stub.send_error = -EINTR;
	stub_send(conn, heard.id, data, sizeof(data));
	ck_assert_uint_eq(stub.refused_sends, 16);
	ck_assert_uint_eq(stats_of(context).send_calls, 16);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	scene_finish(0);
}
END_TEST

START_TEST(a_socket_that_does_not_tell_its_error_has_that_one)
{
	stub.getsockopts = 0;
	stub.getsockopt_error[0] = -ENOTSOCK;
	zcreq_process(conn, POLLHUP);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.abort_status, -ENOTSOCK);
}
END_TEST

/* To the byte. */
START_TEST(the_limit_is_what_may_be_held)
{
	const struct iovec part = {.iov_base = data, .iov_len = 40};
	const struct iovec byte = {.iov_base = data, .iov_len = 1};

	options.limit_bytes = 80;
	scene_open();
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_add(context, heard.id, &part, 1, 0), 0);
	ck_assert_int_eq(zcreq_add(context, heard.id, &part, 1, 0), 0);
	ck_assert_int_eq(zcreq_add(context, heard.id, &byte, 1, 0), -EAGAIN);
	ck_assert_int_eq(zcreq_write(conn, data, 1), -EAGAIN);
	scene_finish(0);
}
END_TEST

/* ---- the error queue ------------------------------------------------------ */

START_TEST(messages_without_end_do_not_keep_a_call)
{
	stub.chatter = _i ? STUB_FOREIGN : STUB_BOGUS;
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.recvs, FOREIGN_AT_ONCE);
	ck_assert_uint_eq(stats_of(context).foreign_messages, _i ? FOREIGN_AT_ONCE : 0);
	ck_assert_uint_eq(hooks.message, _i ? FOREIGN_KEPT : 0);
	ck_assert_uint_eq(stats_of(context).foreign_lost,
			  _i ? FOREIGN_AT_ONCE - FOREIGN_KEPT : 0);
	ck_assert_uint_eq(stats_of(context).bogus_ranges, _i ? 0 : FOREIGN_AT_ONCE);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
}
END_TEST

/* An error of the reading itself ends the connection, but not before what was read. */
START_TEST(an_error_of_the_error_queue_comes_after_its_messages)
{
	static const unsigned counts[] = {0, 1, 63, 64, 65, 128};

	heard_begin(conn, &heard);
	for (unsigned i = 0; i < counts[_i]; i++) {
		stub_send(conn, heard.id, data, sizeof(data));
		stub_notify(&stub, i, i, false);
	}
	stub.recv_error = -EIO;
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).notifications, counts[_i]);
	if (counts[_i])
		ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_OPEN);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_int_eq(hooks.abort_status, -EIO);
	scene_finish(0);
}
END_TEST

static void free_in_message(struct zcreq_conn *self, enum heard_callback callback)
{
	if (callback != HEARD_CONN_MESSAGE)
		return;
	zcreq_conn_free(self);
	conn = NULL;
}

START_TEST(messages_left_when_the_connection_is_freed_are_dropped)
{
	for (unsigned i = 0; i < 3; i++)
		stub_foreign(&stub);
	hooks.inside = free_in_message;
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(hooks.message, 1);
	ck_assert_uint_eq(stats_of(context).foreign_messages, 3);
	ck_assert_uint_eq(stats_of(context).foreign_lost, 0);
}
END_TEST

/* ---- quarantine ----------------------------------------------------------- */

/* The proof of both is read in the first one's callback. */
static void prove_in_quarantine(struct heard *self, enum heard_callback callback)
{
	(void)self;
	if (callback != HEARD_QUARANTINED)
		return;
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
}

START_TEST(a_request_that_was_proven_meanwhile_is_not_quarantined)
{
	heard_begin(conn, &heard);
	heard_begin(conn, &second);
	heard.inside = prove_in_quarantine;
	stub_send(conn, heard.id, data, sizeof(data));
	stub_send(conn, second.id, data, sizeof(data));
	scene_finish(0);
	ck_assert_int_eq(zcreq_finish(context, second.id, 0), 0);
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 1);
	zcreq_turn(context, 5 * SECOND + 1);
	ck_assert_uint_eq(heard.quarantined, 1);
	ck_assert_uint_eq(second.quarantined, 0);
	ck_assert_uint_eq(heard.released + second.released, 2);
}
END_TEST

/* ---- callbacks that nobody wants ------------------------------------------- */

static unsigned releases;

static void count_release(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	releases++;
}

START_TEST(a_request_needs_only_released)
{
	static const struct zcreq_request_hooks ops = {.released = count_release};
	zcreq_id id;

	ck_assert_int_eq(zcreq_begin(conn, &ops, NULL, 0, &id), 0);
	stub_send(conn, id, data, sizeof(data));
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 1);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	zcreq_turn(context, 5 * SECOND + 1);
	ck_assert_uint_eq(stats_of(context).quarantined_now, 1);
	ck_assert_uint_eq(releases, 0);
	stub_prove_all(&stub);
	zcreq_turn(context, 6 * SECOND + 1);
	ck_assert_uint_eq(releases, 1);
}
END_TEST

static unsigned abortings;

static void count_aborting(zcreq_id id, int status, void *arg)
{
	(void)id;
	(void)arg;
	ck_assert_int_eq(status, -EIO);
	abortings++;
}

START_TEST(aborting_is_told_without_settled)
{
	static const struct zcreq_request_hooks ops = {
		.aborting = count_aborting, .released = count_release,
	};
	zcreq_id id;

	ck_assert_int_eq(zcreq_begin(conn, &ops, NULL, 0, &id), 0);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EIO), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(abortings, 1);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(abortings, 1);
	ck_assert_uint_eq(releases, 1);
}
END_TEST

START_TEST(room_needs_nobody_to_listen)
{
	const struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};

	options.hooks = NULL;
	options.limit_bytes = 1;
	options.mode = ZCREQ_MODE_NEVER;
	scene_open();
	heard_begin(conn, &heard);
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), 0);
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), -EAGAIN);
	ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
	ck_assert_int_eq(zcreq_add(context, heard.id, &iov, 1, 0), 0);
	scene_finish(0);
}
END_TEST

START_TEST(a_connection_knows_what_its_hooks_are_given)
{
	ck_assert_ptr_eq(zcreq_conn_arg(conn), &hooks);
}
END_TEST

/* ---- a message of somebody else's ---- */

static const char packet[300] = "what an ICMP error quotes of the packet";
static int packet_bytes, packet_flags; /* of the next message; 0 bytes: there is none */
static unsigned messages_heard;

/* As the kernel does: what does not fit is cut, and said to be. */
static ssize_t recv_packet(int fd, struct msghdr *message, int flags, void *arg)
{
	size_t room = message->msg_iov[0].iov_len, len = (size_t)packet_bytes;

	(void)fd;
	(void)flags;
	(void)arg;
	if (!packet_bytes)
		return -EAGAIN;
	packet_bytes = 0;
	message->msg_controllen = 0;
	message->msg_flags = packet_flags | (len > room ? MSG_TRUNC : 0);
	if (len > room)
		len = room;
	memcpy(message->msg_iov[0].iov_base, packet, len);
	return (ssize_t)len;
}

static void hear_packet(struct zcreq_conn *of, const struct msghdr *message, void *arg)
{
	const size_t want[] = {1, 40, 256, 256, 40};
	const int *number = arg;

	CLAIM(of == conn);
	CLAIM(message->msg_iovlen == 1);
	ck_assert_uint_eq(message->msg_iov[0].iov_len, want[*number]);
	ck_assert_mem_eq(message->msg_iov[0].iov_base, packet, want[*number]);
	ck_assert_int_eq(message->msg_flags & MSG_TRUNC, *number == 3 ? MSG_TRUNC : 0);
	ck_assert_int_eq(message->msg_flags & MSG_CTRUNC, *number == 4 ? MSG_CTRUNC : 0);
	messages_heard++;
}

START_TEST(a_message_is_heard_with_its_length_and_whether_it_was_cut)
{
	static const struct zcreq_conn_hooks listening = {.message = hear_packet};
	static const int bytes[] = {1, 40, 256, 257, 40};
	struct zcreq_socket_ops talks = stub_ops;

	talks.recvmsg = recv_packet;
	options.socket_ops = &talks;
	options.hooks = &listening;
	options.arg = &_i;
	scene_open();
	packet_bytes = bytes[_i];
	packet_flags = MSG_ERRQUEUE | (_i == 4 ? MSG_CTRUNC : 0);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(messages_heard, 1);
	zcreq_conn_free(conn);
	conn = NULL;
	zcreq_turn(context, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("answers");
	TCase *opening = tcase_create("opening"), *open = tcase_create("open");

	tcase_add_checked_fixture(opening, scene_setup, scene_teardown);
	tcase_add_loop_test(opening, each_question_that_fails_refuses_the_socket, 0, 3);
	tcase_add_loop_test(opening, data_can_be_sent_in_two_states, 0, 13);
	tcase_add_test(opening, a_user_timeout_that_is_refused_is_an_error);
	tcase_add_test(opening, the_longest_user_timeout_is_an_int);
	tcase_add_loop_test(opening, i13_a_socket_that_may_have_used_ids_needs_its_first_id, 0, 4);
	tcase_add_test(opening, i13_a_past_that_cannot_be_asked_for_is_refused);
	tcase_add_loop_test(opening, i13_a_past_is_nothing_to_who_uses_no_ids, 0, 2);
	tcase_add_test(opening, a_first_id_counts_with_its_flag_only);
	tcase_add_test(opening, another_transport_may_have_the_same_descriptor_twice);
	tcase_add_test(opening, the_largest_options_are_64_kibibytes);
	tcase_add_test(opening, the_limit_is_what_may_be_held);
	tcase_add_test(opening, room_needs_nobody_to_listen);
	tcase_add_loop_test(opening, a_message_is_heard_with_its_length_and_whether_it_was_cut, 0,
			    5);
	suite_add_tcase(s, opening);

	tcase_add_checked_fixture(open, scene_setup_open, teardown);
	tcase_add_test(open, an_interrupted_send_is_made_sixteen_times);
	tcase_add_test(open, a_socket_that_does_not_tell_its_error_has_that_one);
	tcase_add_test(open, a_send_of_nothing_waits_for_the_next_event);
	tcase_add_test(open, a_copy_of_nothing_waits_as_well);
	tcase_add_loop_test(open, messages_without_end_do_not_keep_a_call, 0, 2);
	tcase_add_loop_test(open, an_error_of_the_error_queue_comes_after_its_messages, 0, 6);
	tcase_add_test(open, messages_left_when_the_connection_is_freed_are_dropped);
	tcase_add_test(open, a_request_that_was_proven_meanwhile_is_not_quarantined);
	tcase_add_test(open, a_connection_knows_what_its_hooks_are_given);
	tcase_add_test(open, a_request_needs_only_released);
	tcase_add_test(open, aborting_is_told_without_settled);
	suite_add_tcase(s, open);
	return suite_run(s);
}
