/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own.h - a program that makes its own sends on the scene's stub
 */
#ifndef ZCREQ_TESTS_OWN_H
#define ZCREQ_TESTS_OWN_H

#include "support/scene.h"
#include "support/suite.h"

/* The call: so many bytes of nothing in particular; what the stub says. */
static inline int64_t own_call(uint64_t bytes, bool by_reference)
{
	struct iovec iov = {.iov_base = data, .iov_len = bytes};
	const struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

	return stub_ops.sendmsg(STUB_FD, &header,
				MSG_DONTWAIT | MSG_NOSIGNAL | (by_reference ? MSG_ZEROCOPY : 0),
				&stub);
}

static inline uint64_t own_sum(const struct zcreq_part *parts, int count)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += parts[i].bytes;
	return sum;
}

/* Offer, call, report; all three are taken. What the call said. */
static inline int64_t own_send(const struct zcreq_part *parts, int count, bool by_reference)
{
	int64_t ret;

	CLAIM(zcreq_offer(conn, parts, count, NULL) == 0);
	ret = own_call(own_sum(parts, count), by_reference);
	CLAIM(zcreq_sent(conn, ret, by_reference) == 0);
	return ret;
}

/* The same, with a call that is refused with @error. */
static inline int64_t own_refused(const struct zcreq_part *parts, int count, bool by_reference,
				  int error)
{
	int64_t ret;

	stub.send_error = error;
	ret = own_send(parts, count, by_reference);
	stub.send_error = 0;
	return ret;
}

#endif
