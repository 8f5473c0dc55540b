/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * free_socket.h - a socket that costs nothing
 *
 * It accepts whatever it is given, one notification id for each call, and tells of
 * ids, one in each message, when and in the order in which it is told to.
 */
#ifndef BENCH_FREE_SOCKET_H
#define BENCH_FREE_SOCKET_H

#include <stdint.h>

#include <zcreq/zcreq.h>

#define SEND_BYTES 4096 /* every iovec that it is given */

struct free_socket {
	uint32_t issued; /* ids given */
	uint32_t tell;   /* the id that it tells of next */
	int32_t step;    /* from one to the next: 1 or -1 */
	uint32_t ready;  /* ids that it may tell of now */
};

extern const struct zcreq_socket_ops free_ops;

#endif
