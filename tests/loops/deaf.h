/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * deaf.h - a peer on loopback that vanishes, for programs that make their own sockets
 *
 * A filter on a socket that takes nothing: the kernel drops what comes, and acknowledges
 * nothing. It needs no network of its own, and no privilege.
 */
#ifndef ZCREQ_TESTS_DEAF_H
#define ZCREQ_TESTS_DEAF_H

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/real.h"

static inline void deaf_make(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = {.len = 1, .filter = &nothing};

	ck_ok(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
}

/* Two ends of a connection on loopback. */
static inline void deaf_pair(int *near, int *far)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	*near = socket(AF_INET, SOCK_STREAM, 0);
	ck_ok(bind(listener, (struct sockaddr *)&address, len));
	ck_ok(listen(listener, 1));
	ck_ok(getsockname(listener, (struct sockaddr *)&address, &len));
	ck_ok(connect(*near, (struct sockaddr *)&address, len));
	*far = accept(listener, NULL, NULL);
	ck_assert_int_ge(*far, 0);
	close(listener);
}

#endif
