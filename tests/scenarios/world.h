/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * world.h - one connection and its mishaps, on the fake kernel or on the real one
 *
 * trace.c tells a world what happens and writes down what can be observed of it. All
 * that the library itself would do or ask goes through struct zcreq_socket_ops: the
 * fake's table, or the library's own for the kernel. Only what is outside of these is
 * a function here: the network, the peer, time, limits, and poll(2).
 *
 * There is one world in a process, so each keeps what it needs in its own file.
 */
#ifndef ZCREQ_TRACE_WORLD_H
#define ZCREQ_TRACE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/stream.h>

#define WORLD_MSS 1448

enum world_family { WORLD_IPV4, WORLD_IPV6, WORLD_MAPPED };

/* How the connection is made; 0 is the default. */
struct world_options {
	enum world_family family;
	int sndbuf;
	int rcvbuf;
};

/* How a read of the peer ended. */
enum world_end {
	WORLD_MORE, /* it did not: nothing else has come so far */
	WORLD_ENDED,
	WORLD_RESET,
};

/* What open() gives: where the library's calls go. */
struct world_socket {
	const struct zcreq_socket_ops *ops;
	void *arg;
	int fd;
};

/**
 * struct world - what a scenario may do beside calls on its socket
 *
 * Words that a function does not know are refused with false.
 *
 * @missing:     NULL, or why this machine cannot do what is named by a word
 * @limit:       before open: "optmem" bytes, "locked" pages, "no-sg", "fresh-carrier": the
 *               kernel has just looked after carriers, and looks again in a second
 * @open:        connects
 * @poll:        what poll(2) says now of POLLIN, POLLOUT and POLLRDHUP and unasked
 * @unreadable:  reading this memory is EFAULT
 * @host:        "vanish", "return", "cut", "uncut", "slow", "stamps"; "unreachable" once
 *               more has been sent: vanished, and a router says so
 * @peer:        "fin", "close" (with what is unread), "reset"
 * @read:        the peer reads at most @most bytes, all that is there
 * @wait:        lets time pass; the network and the peer's kernel do what they do
 */
struct world {
	const char *(*missing)(const char *what);
	bool (*limit)(const char *what, uint64_t value);
	struct world_socket (*open)(const struct world_options *options);
	short (*poll)(void);
	void (*unreadable)(void *memory, size_t len);
	bool (*host)(const char *what);
	bool (*peer)(const char *what);
	enum world_end (*read)(uint8_t *to, size_t most, size_t *len);
	void (*wait)(unsigned ms);
};

extern const struct world world_fake, world_real;

#endif
