/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * load.h - requests on a real connection, and a ledger of what became of each
 *
 * The stream is a known sequence: byte n of it is load_byte(n), and byte n of the
 * arena has that value from the start, so a request that sends the stream's bytes
 * [a, b) just sends these bytes of the arena. In released they are overwritten at
 * once, as a program does that recycles its buffers. The receiver compares each
 * byte with what it has to be: a recycled one that reaches it is counted as
 * foreign, and means that a buffer was released while the kernel still read it.
 *
 * Every callback checks what can be checked there and then: called once, in the
 * order promised, from a turn only, and released only when the witness (spy.h)
 * has seen the kernel give back all of it.
 *
 * All is one struct, and one thread unless a test says otherwise. A turn of the
 * loop is what a program's loop would do: turn, sleep, process, read.
 */
#ifndef ZCREQ_TESTS_LOAD_H
#define ZCREQ_TESTS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/zcreq.h>

#include "real/net.h"
#include "real/spy.h"

#define LOAD_VERDICTS 16
#define LOAD_RECYCLED 0xee /* no byte of the stream has it */

struct sender;

struct load_request {
	struct load *load;
	zcreq_id id;
	uint64_t from, to;  /* its bytes of the stream */
	int status;         /* as reported last */
	uint8_t settled, aborting, quarantined, released; /* how often */
	bool finished;
};

struct load {
	struct net net;
	int near, far;              /* near is the library's while conn is open */
	struct zcreq_context *context;
	struct zcreq_conn *conn;    /* NULL when freed */
	bool spied;                 /* on the calls of this connection */
	struct sender *sender;      /* NULL: none is needed */
	bool abandoned;             /* no proof can come: the end leaves it as it is */
	unsigned bogus_ranges;      /* that others have left on the error queue */
	struct spy spy;

	uint8_t *arena;
	size_t arena_bytes;
	struct load_request *requests;
	size_t count, capacity;
	uint64_t queued_bytes;      /* of the stream, so far */

	size_t settled, aborting, quarantined, released, failed; /* requests, ever */
	uint64_t last_release_ns;
	unsigned aborts, closes, rooms, messages;  /* hooks called */
	int abort_status, close_status;
	enum zcreq_stall verdicts[LOAD_VERDICTS];
	unsigned verdict_count;
	bool in_call;               /* a call is under way that must run no callback */
	void (*on_released)(struct load_request *request); /* a test's own addition */
	void (*on_closed)(struct load *load);
	void (*on_room)(struct load *load);
	void (*on_readable)(struct load *load); /* NULL when it is opened: no such hook */

	bool reading;               /* the loop reads from far */
	uint64_t received_bytes, foreign_bytes, wrong_bytes;
	bool far_ended;             /* end of stream, in order */
	int far_error;
};

static inline uint8_t load_byte(uint64_t n)
{
	return (n * 0x9e3779b97f4a7c15u >> 57) & 0x7f;
}

/* A network, a context and memory for @arena_bytes of stream; guarded, if the run asks
 * for it by ZCREQ_GUARD. The other takes options, and is not. */
void load_init(struct load *load, size_t arena_bytes);
void load_init_with(struct load *load, size_t arena_bytes,
		    const struct zcreq_context_options *options);

/* Frees all that is left; fails the test if a request is unaccounted for. */
void load_deinit(struct load *load);

/* Gives the near end to the library. @options: fd and hooks are filled in, and mode
 * always unless it says otherwise; may be NULL. */
void load_open(struct load *load, const struct zcreq_stream_options *options);

/* Connects, then the same. A receiver with a small buffer does not read at first. */
void load_connect(struct load *load, const struct net_pair *how,
		  const struct zcreq_stream_options *options);

/* One request that sends the stream's next @len bytes, in one iovec, unfinished. */
struct load_request *load_begin(struct load *load, size_t len);
int load_send(struct load_request *request, size_t len);
void load_finish(struct load_request *request, int status);

/* The stream's next @len bytes as a write that no request owns. */
int load_write(struct load *load, size_t len);

/* @count requests of @each bytes, finished; then a turn. */
void load_submit(struct load *load, size_t count, size_t each);

/* The calls that must run no callback, with the check that they do not. */
void load_flush(struct load *load);
int load_abort(struct load *load, int status);
int load_drain(struct load *load, uint32_t timeout_ms);
void load_free_conn(struct load *load);

/* One turn of a program's loop, that sleeps for at most @most_ms. */
void load_turn(struct load *load, int most_ms);

/* Turns until @done or @ms have passed; was it done? */
bool load_until(struct load *load, bool (*done)(const struct load *load), int ms);

/* Turns for so long, whatever happens. */
void load_for(struct load *load, int ms);

bool load_all_released(const struct load *load);
bool load_all_settled(const struct load *load);
bool load_closed(const struct load *load);
bool load_all_received(const struct load *load);
bool load_far_over(const struct load *load);

/* Reads from far what is there; at most @most bytes. */
void load_read(struct load *load, size_t most);

/* What must hold in the end: each request settled and released exactly once, all
 * counters agree, no foreign byte, the descriptor not closed over pinned pages. */
void load_check_ledger(struct load *load);

struct zcreq_stats load_stats(const struct load *load);

#endif
