/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain.h - what the parts of bench/gain share: ways to send, paths, memory
 *
 * A connection of each way is open at the same time, and they take turns. A sender walks
 * through a pool that no cache holds, as a server does whose data come from elsewhere, and
 * keeps up to @most sends in flight.
 */
#ifndef BENCH_GAIN_H
#define BENCH_GAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <zcreq/stream.h>

#define POOL_BYTES ((size_t)32 << 20)

struct sender {
	const struct way *way;
	int fd;                /* non-blocking; the sender closes it */
	char *pool;
	size_t bytes;          /* of one send */
	size_t at, part;       /* the next send in the pool, and how much of it has left */
	unsigned most, inflight;
	uint32_t threshold;    /* of mode auto; 0 is the default */
	uint64_t sent;         /* bytes that the kernel has taken, ever */
	void *own;             /* the way's */
};

struct way {
	const char *name;
	void (*open)(struct sender *sender);
	/* Sends until @end_ns, then until nothing is in flight by reference. */
	void (*run)(struct sender *sender, uint64_t end_ns);
	void (*close)(struct sender *sender);
	enum zcreq_mode mode;
	bool ring, registered;
	bool batches; /* several sends in a turn */
};

void die(const char *what);
void check(int ret);

/* The next place in the pool, of which @part bytes have left. */
static inline char *sender_next(const struct sender *sender)
{
	return sender->pool + sender->at + sender->part;
}

static inline void sender_step(struct sender *sender)
{
	sender->at += sender->bytes;
	if (sender->at + sender->bytes > POOL_BYTES)
		sender->at = 0;
	sender->part = 0;
}

static inline void sender_took(struct sender *sender, size_t bytes)
{
	sender->sent += bytes;
	sender->part += bytes;
	if (sender->part == sender->bytes)
		sender_step(sender);
}

/* gain_hand.c, gain_ring.c, gain_zcreq.c */
extern const struct way way_send, way_zerocopy;
extern const struct way way_send_zc, way_send_zc_fixed;
extern const struct way way_never, way_always, way_auto;
extern const struct way way_never_batch, way_always_batch, way_auto_batch;
extern const struct way way_uring, way_uring_fixed, way_uring_never, way_uring_auto;
extern const struct way way_never_again, way_never_batch_again, way_uring_never_again;

/* ---- gain_net.c ---- */

enum gain_path { GAIN_ACKER, GAIN_LOOPBACK, GAIN_VETH, GAIN_PATHS };

extern const char *const gain_path_names[GAIN_PATHS];

/* A network of this program's own. NULL, or why there is none. */
const char *gain_net_open(void);

/* NULL, or why this machine does not have that path. */
const char *gain_path_missing(enum gain_path path);

struct gain_end {
	int fd;
	pid_t reader; /* 0: nobody reads */
	const _Atomic uint64_t *read; /* how many bytes; NULL: nobody does */
};

/* The @n-th connection of those that are open at once. */
struct gain_end gain_connect(enum gain_path path, unsigned n);
bool gain_lost_nothing(int fd);             /* since it was connected */
void gain_disconnected(const struct gain_end *end); /* its descriptor is closed */

void stay_on(int core);

/* The pool, of pages of 4 KiB or of huge ones; NULL if there are none. */
char *gain_pool(bool huge);
void gain_pool_free(char *pool);

/* Lets the kernel read all of it once: a hypervisor may have to hear of each page first. */
void gain_pool_touch(const char *pool);

#endif
