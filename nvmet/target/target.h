/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.h - one thread's state: options, listeners, lists
 *
 * Owns: the loop, the zcreq context, the block pool, the lists of connections and of
 * the controllers whose admin queues are here, and the one buffer that everything
 * is received into. There is one for each thread (--threads), and it is passed around;
 * what they share is in subsystem.h, and the namespaces.
 *
 * Never: speaks NVMe. Built so that every other file needs only what it works on
 * and a pointer to this.
 */
#ifndef NVMET_TARGET_H
#define NVMET_TARGET_H

#include <ev.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

#include "block.h"
#include "sender.h"
#include "store.h"

#define NAMESPACES_MAX 1024 /* as many as a list of Identify has */
#define LISTENERS_MAX 16
#define ALLOWED_MAX 256
#define IO_QUEUES_MAX 64
#define QUEUE_SIZE_MAX 1024
#define TRANSFER_MAX ((uint32_t)1 << 20) /* MDTS */
#define TRANSFER_SHIFT 8                 /* the same, as a power of two of 4 KiB */
#define CAPSULE_DATA_MAX 8192
#define ANA_GROUP 1 /* that all namespaces are in */
#define DSM_RANGES_MAX 64                      /* DMRL */
#define DSM_RANGE_BLOCKS_MAX ((uint32_t)1 << 20) /* DMRSL, in logical blocks */
#define DSM_BLOCKS_MAX ((uint64_t)DSM_RANGES_MAX * DSM_RANGE_BLOCKS_MAX) /* DMSL */
#define RECEIVE_BYTES (256 * 1024)
#define NQN_MAX 223

struct arrival;
struct conn;
struct ctrl;
struct subsystem;
struct target;
struct task;

/* How all namespaces can be reached here, as the specification numbers it. */
enum access { ACCESS_NOT_REPORTED, ACCESS_OPTIMIZED, ACCESS_NON_OPTIMIZED, ACCESS_INACCESSIBLE };

struct namespace_option {
	const char *spec; /* as store_open() takes it */
	bool named;       /* by @uuid; else it is computed */
	uint8_t uuid[16];
	uint8_t nguid[16]; /* zeroes: none */
};

struct options {
	const char *listen[LISTENERS_MAX];
	unsigned listens;
	struct namespace_option namespaces[NAMESPACES_MAX];
	unsigned namespace_count;
	char *namespaces_text; /* of --namespaces: specs point into it */
	char *config_text;     /* of --config: so do other strings, into this */
	uint8_t lba_shift; /* of every namespace */
	const char *nqn;
	const char *congestion;  /* control of every connection; NULL: the system's */
	const char *stats_page;  /* a file; NULL: none */
	const char *allowed[ALLOWED_MAX]; /* hosts, by their NQN; none: any */
	unsigned allowed_count;
	enum sender_kind sender;
	enum zcreq_mode mode;
	enum access access;
	uint32_t threshold_bytes;
	uint32_t stall_ms;
	uint32_t not_reading_ms;
	uint32_t linger_ms;
	uint32_t detach_ms;
	uint32_t drain_ms;
	uint32_t quiesce_ms;     /* CQT */
	uint32_t queue_size;
	uint32_t io_queues;
	uint32_t threads;
	uint32_t connections_max;
	uint32_t host_ctrls_max;
	uint32_t handshake_ms;
	uint32_t cap_bytes;      /* what one connection may hold, each way */
	uint32_t send_buffer;    /* 0: the kernel's */
	uint32_t c2h_data_max;
	uint32_t h2c_data_max;
	bool digests_refused;
	bool poll;               /* never sleep */
};

struct listener {
	struct target *target;
	ev_io acceptable;
	ev_timer pause; /* when descriptors have run out */
	struct sockaddr_storage address;
	socklen_t address_len;
};

/* What SMART / Health reports, since the start; the sum over all threads is told. */
struct health {
	uint64_t reads, writes;
	uint64_t read_sectors, written_sectors; /* of 512 bytes */
	uint64_t media_errors;
	uint8_t critical_warning;
	uint64_t started_ns;
};

STAILQ_HEAD(arrival_list, arrival);

struct target {
	struct subsystem *subsystem;
	unsigned number; /* its place there */
	pthread_t thread;
	ev_async wake;
	struct arrival_list arrivals; /* under the subsystem's lock */
	unsigned next;                /* thread that gets a connection; of the first */
	unsigned totals_round;        /* that it has added its figures to */
	unsigned degraded_seen;       /* of subsystem.degraded */
	unsigned ending;              /* enum ending, as far as it has come here */
	bool finished;                /* and has said so */
	bool stopped;                 /* the loop is to be left */

	struct options options;
	struct ev_loop *loop;
	struct zcreq_context *context;
	struct zcreq_ev *ev;
	struct sender *sender;
	struct pool pool;
	struct store *stores[NAMESPACES_MAX]; /* namespace id - 1 */
	unsigned store_count;
	char serial[21];
	struct health health __attribute__((aligned(64))); /* see count() */

	struct listener listeners[LISTENERS_MAX];
	unsigned listener_count;
	TAILQ_HEAD(, conn) conns;
	unsigned conn_count;
	SLIST_HEAD(, task) spare_tasks;
	unsigned spare_task_count;
	TAILQ_HEAD(, task) working; /* see work.c */
	ev_idle work;
	TAILQ_HEAD(, ctrl) ctrls;
	ev_signal on_interrupt, on_terminate, on_statistics;
	ev_timer give_up; /* when the kernel does not let go */

	uint8_t *received; /* RECEIVE_BYTES */
};

/* Its subsystem and its place there are set before. 0, or -errno. */
int target_init(struct target *target, const struct options *options);
/* Says that the subsystem is ready, then runs. */
void target_serve(struct target *target);
/* Until it is stopped. */
void target_run(struct target *target);
void target_stop(struct target *target);
/* Gives everything back but blocks and namespaces. False: the kernel, or this
 * program, still uses some of it. */
bool target_end(struct target *target);
/* From any thread: it is to look at what has changed. */
void target_wake(struct target *target);
/* A connection or controller has gone: perhaps the program can end. */
void target_check_done(struct target *target);

/* One thread counts, others may read. */
static inline void count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* The subsystem is there for a host of this name. */
bool target_allows(const struct target *target, const char *hostnqn);
struct store *target_namespace(const struct target *target, uint32_t nsid);
bool target_has_write_cache(const struct target *target);

/* "addr:port" or "[addr]:port"; @text has ADDRESS_MAX bytes. */
#define ADDRESS_MAX 64
void address_format(const struct sockaddr_storage *address, char *text);
int address_parse(const char *text, struct sockaddr_storage *address, socklen_t *len);
void address_split(const struct sockaddr_storage *address, char *host, size_t host_size,
		   char *port, size_t port_size);

/* One line on standard output. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
