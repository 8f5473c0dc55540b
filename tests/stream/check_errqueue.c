/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_errqueue.c - what a message of the error queue is, whatever is in it
 *
 * A recvmsg of this file fills in control data byte by byte, as a kernel, a
 * careless transport or nobody at all would. The rest of the buffer holds what an
 * earlier message may have left there: a notification that proves everything,
 * which must never be believed.
 */
#include "support/suite.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "stream/errqueue.h"

#define LO 0xfffffff0u
#define HI 0x00000003u
#define LEFTOVER 0x0badbad0u

/* What the next recvmsg does. */
static struct {
	_Alignas(8) char control[1024];
	size_t controllen;  /* as it claims */
	size_t filled;      /* as it wrote */
	ssize_t ret;
	int flags;
	int interrupts;
} next;

static struct zcreq_errqueue_item item;
static unsigned calls;

static void put_cmsg(void *at, size_t len, int level, int type)
{
	const struct cmsghdr cmsg = {
		.cmsg_len = len, .cmsg_level = level, .cmsg_type = type,
	};

	memcpy(at, &cmsg, sizeof(cmsg));
}

static void put_err(void *at, uint8_t origin, uint32_t error, uint8_t code, uint32_t lo,
		    uint32_t hi)
{
	const struct sock_extended_err err = {
		.ee_errno = error, .ee_origin = origin, .ee_code = code, .ee_info = lo,
		.ee_data = hi,
	};

	memcpy(at, &err, sizeof(err));
}

static ssize_t scripted_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	char *control = message->msg_control;

	(void)arg;
	calls++;
	CLAIM(fd == 7);
	CLAIM((flags & (MSG_ERRQUEUE | MSG_PEEK)) == MSG_ERRQUEUE);
	CLAIM(message->msg_controllen == sizeof(item.control));
	CLAIM(message->msg_iovlen == 1);
	CLAIM(message->msg_iov[0].iov_len == sizeof(item.payload));
	if (next.interrupts-- > 0)
		return -EINTR;
	if (next.ret < 0)
		return next.ret;
	/* what an earlier message has left, at every place where an error could be */
	for (size_t at = 0; at + 16 <= message->msg_controllen; at += 8)
		put_err(control + at, SO_EE_ORIGIN_ZEROCOPY, 0, 0, LEFTOVER, LEFTOVER);
	memcpy(control, next.control, next.filled);
	message->msg_controllen = next.controllen;
	message->msg_flags = next.flags;
	return next.ret;
}

static int read_next(void)
{
	static const struct zcreq_socket_ops ops = {.recvmsg = scripted_recvmsg};

	return zcreq_errqueue_next(&ops, NULL, 7, &item);
}

/* One control message of so many bytes after the header; returns its end. */
static size_t add(size_t at, int level, int type, size_t payload)
{
	put_cmsg(next.control + at, CMSG_LEN(payload), level, type);
	next.filled = next.controllen = at + CMSG_SPACE(payload);
	return next.controllen;
}

static size_t add_notification(size_t at, bool v6, size_t payload)
{
	put_err(next.control + at + CMSG_LEN(0), SO_EE_ORIGIN_ZEROCOPY, 0, 0, LO, HI);
	return add(at, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_RECVERR : IP_RECVERR, payload);
}

static void assert_notification(bool copied)
{
	ck_assert_int_eq(read_next(), ZCREQ_ERRQUEUE_NOTIFICATION);
	ck_assert_uint_eq(item.lo, LO);
	ck_assert_uint_eq(item.hi, HI);
	ck_assert_int_eq(item.copied, copied);
}

static void assert_foreign(void)
{
	ck_assert_int_eq(read_next(), ZCREQ_ERRQUEUE_FOREIGN);
}

#define V4 (sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in))
#define V6 (sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))

START_TEST(field_libfabric_12197_both_sizes_are_read)
{
	/* 48 and 60 where a pointer has 64 bits */
	ck_assert_uint_eq(CMSG_LEN(V4), CMSG_LEN(0) + 32);
	ck_assert_uint_eq(CMSG_LEN(V6), CMSG_LEN(0) + 44);
	add_notification(0, _i, _i ? V6 : V4);
	assert_notification(false);
}
END_TEST

/* As doc/decisions.md says how much of a message of others is kept. */
/* For who reads by himself: zcreq-guard. */
START_TEST(a_notification_is_found_in_a_message)
{
	_Alignas(8) char control[64];
	struct msghdr message = {.msg_control = control};
	const struct sock_extended_err *err;

	ck_assert_ptr_null(zcreq_errqueue_notification(&message));
	put_cmsg(control, CMSG_LEN(sizeof(*err)), SOL_IP, IP_RECVERR);
	put_err(CMSG_DATA((struct cmsghdr *)control), SO_EE_ORIGIN_ZEROCOPY, 0, 0, LO, HI);
	message.msg_controllen = CMSG_SPACE(sizeof(*err));
	err = zcreq_errqueue_notification(&message);
	ck_assert_ptr_nonnull(err);
	ck_assert_uint_eq(err->ee_info, LO);
}
END_TEST

START_TEST(there_is_room_for_messages_of_others)
{
	ck_assert_uint_eq(sizeof(item.control), 512);
	ck_assert_uint_eq(sizeof(item.payload), 256);
}
END_TEST

START_TEST(copied_is_read_from_the_code)
{
	add_notification(0, false, V4);
	next.control[CMSG_LEN(0) + offsetof(struct sock_extended_err, ee_code)] =
		SO_EE_CODE_ZEROCOPY_COPIED;
	assert_notification(true);
}
END_TEST

START_TEST(field_qemu_messages_of_others_are_foreign)
{
	static const struct {
		int level, type;
		uint8_t origin;
		uint32_t error;
	} rows[] = {
		{SOL_IP, IP_RECVERR, SO_EE_ORIGIN_ICMP, EHOSTUNREACH},
		{SOL_IPV6, IPV6_RECVERR, SO_EE_ORIGIN_ICMP6, EHOSTUNREACH},
		{SOL_IP, IP_RECVERR, SO_EE_ORIGIN_TIMESTAMPING, ENOMSG},
		{SOL_IP, IP_RECVERR, SO_EE_ORIGIN_LOCAL, EMSGSIZE},
		{SOL_IP, IP_RECVERR, SO_EE_ORIGIN_ZEROCOPY, ENOMSG},
		{SOL_IP, IP_RECVERR, SO_EE_ORIGIN_NONE, 0},
		{SOL_IP, IPV6_RECVERR, SO_EE_ORIGIN_ZEROCOPY, 0},
		{SOL_IPV6, IP_RECVERR, SO_EE_ORIGIN_ZEROCOPY, 0},
		{SOL_SOCKET, IP_RECVERR, SO_EE_ORIGIN_ZEROCOPY, 0},
		{SOL_SOCKET, SCM_TIMESTAMPING, SO_EE_ORIGIN_ZEROCOPY, 0},
	};

	put_err(next.control + CMSG_LEN(0), rows[_i].origin, rows[_i].error, 0, LO, HI);
	add(0, rows[_i].level, rows[_i].type, V4);
	next.ret = 100;
	assert_foreign();
	ck_assert_uint_eq(item.len, 100);
}
END_TEST

START_TEST(a_notification_behind_other_control_messages_is_found)
{
	size_t at = 0;

	for (int i = 0; i < _i; i++)
		at = add(at, SOL_SOCKET, SCM_TIMESTAMPING, 1 + i * 13);
	at = add_notification(at, true, V6);
	add(at, SOL_SOCKET, SO_RXQ_OVFL, 4);
	assert_notification(false);
}
END_TEST

START_TEST(no_control_at_all_is_foreign)
{
	next.ret = 10;
	assert_foreign();
	ck_assert_uint_eq(item.len, 10);
}
END_TEST

/* The kernel clips cmsg_len to what fits; the range is whole from 32 bytes on. */
START_TEST(control_cut_by_the_kernel_is_believed_if_the_range_is_whole)
{
	size_t len = _i;

	add_notification(0, false, V4);
	if (len >= CMSG_LEN(0))
		put_cmsg(next.control, len, SOL_IP, IP_RECVERR);
	next.controllen = next.filled = len;
	next.flags = MSG_CTRUNC;
	if (len >= CMSG_LEN(sizeof(struct sock_extended_err)))
		assert_notification(false);
	else
		assert_foreign();
}
END_TEST

/* A message that claims to be longer than the control data there is. */
START_TEST(i8_a_message_that_claims_more_than_there_is_is_not_believed)
{
	static const size_t claims[] = {
		17, 32, 48, 60, 512, 513, 4096, SIZE_MAX / 2, SIZE_MAX - 16, SIZE_MAX - 7,
		SIZE_MAX - 6, SIZE_MAX,
	};
	size_t controllen = CMSG_LEN(0) + _i / COUNT(claims) * 4;
	size_t claim = claims[_i % COUNT(claims)];

	put_cmsg(next.control, claim, SOL_IP, IP_RECVERR);
	next.filled = CMSG_LEN(0);
	next.controllen = controllen;
	if (claim <= controllen)
		ck_assert_int_gt(read_next(), 0);
	else
		assert_foreign();
}
END_TEST

/* The same as the second message, after one that is in order. */
START_TEST(i8_a_second_message_that_claims_more_than_there_is_is_not_believed)
{
	static const size_t claims[] = {
		0, 1, 15, 48, 512, SIZE_MAX / 2, SIZE_MAX - 16, SIZE_MAX - 7, SIZE_MAX,
	};
	size_t at = add(0, SOL_SOCKET, SCM_TIMESTAMPING, 48);

	put_cmsg(next.control + at, claims[_i], SOL_IP, IP_RECVERR);
	next.filled = next.controllen = at + CMSG_LEN(0);
	assert_foreign();
}
END_TEST

/* Too short to be a message at all: nothing behind it is looked at. */
START_TEST(i8_a_message_too_short_for_its_header_ends_the_search)
{
	put_cmsg(next.control, _i, SOL_SOCKET, SO_TIMESTAMP);
	next.filled = CMSG_LEN(0);
	next.controllen = 256;
	assert_foreign();
}
END_TEST

START_TEST(i8_more_control_than_the_buffer_has_is_not_walked)
{
	size_t at = 0;

	while (at + CMSG_SPACE(4) <= sizeof(item.control))
		at = add(at, SOL_SOCKET, SO_RXQ_OVFL, 4);
	next.filled = at;
	next.controllen = sizeof(item.control) + 8 + 64 * _i;
	assert_foreign();
}
END_TEST

/* Any bytes: it returns, reads nothing outside (sanitizers), believes no leftover. */
START_TEST(i8_random_control_data_is_survived)
{
	uint64_t seed = _i + 1;

	for (unsigned round = 0; round < 3000; round++) {
		size_t len = suite_random(&seed) % (sizeof(item.control) + 1), at = 0;

		for (size_t i = 0; i < len; i++)
			next.control[i] = suite_random(&seed) >> 40;
		while (at + 16 <= len && suite_random(&seed) % 4) {
			size_t claim = suite_random(&seed) % 100;

			put_cmsg(next.control + at, claim, SOL_IP, IP_RECVERR);
			at += CMSG_ALIGN(claim ? claim : 1);
		}
		next.filled = next.controllen = len;
		CLAIM(read_next() != ZCREQ_ERRQUEUE_NOTIFICATION || item.lo != LEFTOVER);
	}
}
END_TEST

START_TEST(the_payload_is_cut_at_the_buffer)
{
	next.ret = _i;
	assert_foreign();
	ck_assert_uint_eq(item.len, _i < 256 ? _i : 256);
}
END_TEST

START_TEST(errors_are_handed_on)
{
	static const int errors[] = {-EAGAIN, -EBADF, -ENOTSOCK, -ENOMEM, -ECONNRESET};

	next.ret = errors[_i];
	ck_assert_int_eq(read_next(), errors[_i]);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

START_TEST(an_interrupted_call_is_made_again_and_not_for_ever)
{
	add_notification(0, false, V4);
	next.interrupts = 3;
	assert_notification(false);
	ck_assert_uint_eq(calls, 4);
	next.interrupts = 1 << 30;
	ck_assert_int_eq(read_next(), -EAGAIN);
	ck_assert_uint_lt(calls, 100);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("errqueue");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad");

	tcase_add_loop_test(good, field_libfabric_12197_both_sizes_are_read, 0, 2);
	tcase_add_test(good, a_notification_is_found_in_a_message);
	tcase_add_test(good, there_is_room_for_messages_of_others);
	tcase_add_test(good, copied_is_read_from_the_code);
	tcase_add_loop_test(good, field_qemu_messages_of_others_are_foreign, 0, 10);
	tcase_add_loop_test(good, a_notification_behind_other_control_messages_is_found, 0, 6);
	tcase_add_test(good, no_control_at_all_is_foreign);
	tcase_add_loop_test(good, control_cut_by_the_kernel_is_believed_if_the_range_is_whole, 0,
			    49);
	tcase_add_loop_test(bad, i8_a_message_that_claims_more_than_there_is_is_not_believed, 0,
			    12 * 4);
	tcase_add_loop_test(bad,
			    i8_a_second_message_that_claims_more_than_there_is_is_not_believed,
			    0, 9);
	tcase_add_loop_test(bad, i8_a_message_too_short_for_its_header_ends_the_search, 0, 16);
	tcase_add_loop_test(bad, i8_more_control_than_the_buffer_has_is_not_walked, 0, 8);
	tcase_add_loop_test(bad, i8_random_control_data_is_survived, 0, 10);
	tcase_add_loop_test(bad, the_payload_is_cut_at_the_buffer, 0, 300);
	tcase_add_loop_test(bad, errors_are_handed_on, 0, 5);
	tcase_add_test(bad, an_interrupted_call_is_made_again_and_not_for_ever);
	suite_add_tcase(s, good);
	suite_add_tcase(s, bad);
	return suite_run(s);
}
