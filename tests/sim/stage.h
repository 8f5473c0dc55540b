/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * stage.h - a fake kernel, a context and one stream, set up to tell a short story
 *
 * What every test of a single connection needs: buffers that nobody else uses,
 * requests that note what they hear, an event loop that can be stepped, and an
 * end at which the stage insists that nothing was lost, released without proof,
 * or leaked. A test sets knobs and options between stage_init() and stage_open().
 */
#ifndef ZCREQ_SIM_STAGE_H
#define ZCREQ_SIM_STAGE_H

#include <zcreq/zcreq.h>

#include "sim/alloc_fault.h"
#include "sim/fake_kernel.h"
#include "sim/fake_sender.h"

struct stage;

/**
 * How all streams of a program send: through senders like this, or with NULL by
 * themselves. In stage_socket.c or stage_sender.c, so that the same tests are built
 * for both; those of the error queue are added for the socket only.
 */
extern const struct fake_sender_knobs *const stage_sends;

/** Events in the order in which they came; see stage_request.order. */
struct stage_request {
	struct stage_request *next;
	struct stage *stage;
	struct zcreq_conn *conn;
	zcreq_id id;
	uint8_t *memory;        /**< of its last send */
	size_t len;
	uint8_t *buffers[64];   /**< of all */
	size_t lens[64];
	unsigned buffer_count;
	unsigned settled;
	unsigned released;
	unsigned aborting;
	unsigned quarantined;
	int settled_status;
	int released_status;
	unsigned settled_at;    /**< the number of the callback on this stage */
	unsigned released_at;
	bool finish_when_aborting;
};

/**
 * struct stage - see above; members that a test sets or reads
 * @knobs:    for the socket, until stage_open()
 * @options:  for the stream, until stage_open(): mode always, threshold 1
 * @now_ns:   fake_kernel_now_ms() in nanoseconds, at the last tick
 * @deadline_ns: what the last turn said
 * @ticks:    how many turns at the kernel's time there were
 * @clings:   the end of the story must not insist on an empty context
 * @on_event: called from each callback with its name, for tests that act there
 */
struct stage {
	struct fake_kernel *kernel;
	struct fake_knobs knobs;
	struct fake_socket *sock;
	struct fake_sender *sender; /* NULL: it sends by itself */
	struct zcreq_stream_options options;
	struct alloc_fault fault;
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	struct stage_request *requests;
	uint64_t now_ns;
	uint64_t deadline_ns;
	unsigned ticks;
	unsigned callbacks;
	unsigned aborts;
	int abort_status;
	unsigned closes;
	int closed_status;
	unsigned rooms;
	unsigned stalls;
	enum zcreq_stall verdict;
	unsigned messages;
	uint8_t origin;         /**< of the last foreign message; 0 if it had none */
	bool clings;
	void (*on_event)(struct stage *stage, const char *event, struct stage_request *request);
};

extern const struct zcreq_request_hooks stage_ops;
extern const struct zcreq_conn_hooks stage_hooks;

void stage_init(struct stage *stage);

/** A context if there is none yet, a socket and a stream on it. */
void stage_open(struct stage *stage);

/** Another socket and stream in the same context; the members follow the newest. */
struct zcreq_conn *stage_open_another(struct stage *stage);

/** Ends everything: kernel lets go, requests finish. The context is left, empty. */
void stage_end(struct stage *stage);

/** The same, then checks and frees. */
void stage_deinit(struct stage *stage);

/** How the next stream of these options and this socket sends; see stage_sends. */
void stage_choose_sender(struct stage *stage);

struct stage_request *stage_begin(struct stage *stage);

/** Queue @len bytes of fresh memory for a request; what zcreq_send() says. */
int stage_send(struct stage_request *request, size_t len);
void stage_finish(struct stage_request *request);

/** Begin, send, finish. */
struct stage_request *stage_request(struct stage *stage, size_t len);

/** The same, and a turn that sends it. */
struct stage_request *stage_sent(struct stage *stage, size_t len);

/** One turn, as if no time had passed; true if the next one is due at once. */
bool stage_turn(struct stage *stage);

/** The same, and what a sender has taken is told; for callbacks it takes another. */
void stage_flush(struct stage *stage);

/** Poll, process what came, and turn; false if nothing did. */
bool stage_process(struct stage *stage);

/** Until nothing comes any more, and nothing is due; fails if that never is. */
void stage_run(struct stage *stage);

/** The peer acknowledges everything, until all is sent and processed. */
void stage_ack_all(struct stage *stage);

/** One turn at the kernel's time. */
void stage_tick(struct stage *stage);

/** Let time pass as a good event loop does: wakes for deadlines and poll bits. */
void stage_wait_ms(struct stage *stage, uint64_t ms);

struct zcreq_stats stage_stats(const struct stage *stage);
struct fake_socket_report stage_report(const struct stage *stage);

/** Released once with this status, and safe. */
void stage_expect_released(const struct stage_request *request, int status);
void stage_expect_unreleased(const struct stage_request *request);

#endif
