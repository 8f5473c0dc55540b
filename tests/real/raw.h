/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * raw.h - zero-copy sends without the library: what the kernel itself says
 *
 * The tests of kernel facts use this and nothing of the library, so that one that
 * fails says: on this kernel the fact does not hold. The error queue is read here
 * a second time, independently of lib/stream/errqueue.c, and everything seen is kept in
 * the order in which it came.
 */
#ifndef ZCREQ_TESTS_RAW_H
#define ZCREQ_TESTS_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAW_RANGES 256

struct raw_range {
	uint32_t lo, hi;
	bool copied;
};

/* What was read from one error queue, ever. */
struct raw_log {
	struct raw_range ranges[RAW_RANGES];
	unsigned count;       /* of ranges */
	uint64_t ids;         /* in them */
	size_t control_bytes; /* of the last notification: header and data */
	uint64_t first_ns, last_ns; /* when the first and the last came */
};

/* Asks for notifications, as a program would. */
void raw_enable(int fd);

/* One send with MSG_ZEROCOPY: the bytes accepted, or -errno. */
ssize_t raw_send(int fd, const void *data, size_t len);

/* Sends until @len bytes are accepted or the socket is full: the bytes accepted;
 * @calls is raised by the number of calls that were, each worth one id. */
size_t raw_fill(int fd, const void *data, size_t len, size_t each, unsigned *calls);

/* Reads all that is there; the number of ranges. */
unsigned raw_reap(int fd, struct raw_log *log);

/* Reads until @ids have been notified or @ms have passed; true if they have. */
bool raw_await(int fd, struct raw_log *log, uint64_t ids, int ms);

/* Is every id 0..ids-1 in the log exactly once? */
bool raw_complete(const struct raw_log *log, uint32_t ids);

/* "2..8 1..1", for messages; valid until the next call. */
const char *raw_text(const struct raw_log *log);

/* connect(2) to AF_UNSPEC: 0 or -errno. */
int raw_disconnect(int fd);

/* Reads what is there, at most @len bytes, for at most @ms: bytes, -errno if none. */
ssize_t raw_read(int fd, void *data, size_t len, int ms);

uint64_t raw_now_ns(void);
void raw_sleep_ms(int ms);

#endif
