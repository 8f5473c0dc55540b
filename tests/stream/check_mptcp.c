/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_mptcp.c - an MPTCP socket is refused: it copies in silence, no proof comes
 *
 * A program of its own, as it is skipped (77) where the kernel has no MPTCP.
 */
#include "support/suite.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define SKIPPED 77

/* Connected to itself over loopback, so that only its kind can be wrong with it. */
static int connected_socket(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, len), 0);
	close(listener);
	return fd;
}

START_TEST(mptcp_is_refused_in_every_mode)
{
	struct zcreq_stream_options options = {
		.size = sizeof(options), .fd = connected_socket(), .mode = _i,
	};
	struct counting memory;
	struct zcreq_context *context = counting_context(&memory, 0);
	struct zcreq_conn *conn = NULL;

	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), -EPROTONOSUPPORT);
	ck_assert_ptr_null(conn);
	ck_assert_int_eq(close(options.fd), 0);
	counting_end(&memory, context);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mptcp");
	TCase *refused = tcase_create("refused");
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0) {
		printf("skipped: no MPTCP here: %s\n", strerror(errno));
		return SKIPPED;
	}
	close(fd);
	tcase_add_loop_test(refused, mptcp_is_refused_in_every_mode, ZCREQ_MODE_AUTO,
			    ZCREQ_MODE_NEVER + 1);
	suite_add_tcase(s, refused);
	return suite_run(s);
}
