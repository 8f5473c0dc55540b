/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - one TCP connection, which is one NVMe queue
 *
 * Owns: the zcreq stream, the watcher that reads, the PDU reader, the tasks of the
 * queue and the figures that are printed at its end.
 *
 * Never: executes commands. Never reads on while an answer is blocked, or a command is held
 * because its answer would be: that is how a host that does not read its data slows nobody
 * but itself.
 *
 * Its life is zcreq's: it ends in the closed hook and nowhere else, when the last
 * request is released.
 */
#ifndef NVMET_CONN_H
#define NVMET_CONN_H

#include "pdu.h"
#include "target.h"
#include "task.h"

#define LARGE_BYTES (32u << 10) /* of a command's data: worth a call of its own to receive */
#define PLACE_BYTES (256u << 10)
#define PLACE_PIECES (PLACE_BYTES / BLOCK_BYTES + 1)

enum conn_phase {
	CONN_NEW = 1,     /* no ICReq yet */
	CONN_UP,          /* PDUs flow */
	CONN_TERMINATING, /* a TermReq went out: waits for the host to close */
	CONN_ENDING,      /* draining or aborted: nothing is read any more */
};

struct conn {
	TAILQ_ENTRY(conn) in_target;
	struct target *target;
	enum conn_phase phase;
	struct zcreq_conn *stream;
	ev_io readable;
	ev_timer deadline; /* for the handshake, and for the host to close */
	int end_status;    /* the first reason why it ends */
	uint64_t end_ns;

	struct pdu_reader reader;
	struct pdu_agreed agreed;
	struct task *arriving; /* gets the payload of the PDU being read */
	uint8_t *stash;        /* received, and not parsed for want of room */
	size_t stash_len;

	struct ctrl *ctrl; /* once connected */
	uint16_t qid;
	uint32_t epoch; /* of the controller, when it was connected */
	uint16_t queue_size;
	uint16_t sqhd;
	bool flow_disabled;
	unsigned outstanding; /* commands without an answer */
	struct task **tags;   /* queue_size entries: who waits for data */
	uint16_t next_tag;
	uint64_t asked_bytes; /* asked for and not complete */
	unsigned asked_large; /* tasks among those with LARGE_BYTES or more */
	struct task_list tasks;
	struct task_list ready;
	unsigned ready_count;
	struct task_list held;
	struct task_list wanting;
	struct task_list blocked;

	char peer[ADDRESS_MAX];
	unsigned sending;     /* tasks in zcreq's hands */
	unsigned sending_at_end;
	uint64_t sending_bytes, sending_bytes_at_end;
	uint64_t commands, released, read_bytes, written_bytes;
	uint64_t started_ns;
};

/* Takes the descriptor, also on failure. False: it does not, since there is no room and nobody on
 * this thread to make some. */
bool conn_accept(struct target *target, int fd, const struct sockaddr_storage *peer);
/* The connection is dead; the hooks do the rest. Legal at any time. */
void conn_abort(struct conn *conn, int status);
/* The graceful end. */
void conn_drain(struct conn *conn, uint32_t within_ms);
/* The host broke the protocol: say so, and end. */
void conn_terminate(struct conn *conn, uint16_t fes, uint32_t fei, const void *wrong,
		    size_t wrong_len);
/* No answer is blocked, nothing is held: read on. */
void conn_read_on(struct conn *conn);
/* There is room again: runs what was held for want of it (receive.c). */
void conn_run_held(struct conn *conn);
/* Where the data that comes next belongs, PLACE_PIECES at most: 0 where what comes has to be
 * looked at first (receive.c). */
unsigned conn_place(const struct conn *conn, struct iovec *iov);
/* Of @len bytes that were received there, and behind: how many are data. */
size_t conn_placed(struct conn *conn, const struct iovec *iov, unsigned count, size_t len);
/* Turns received bytes into tasks; returns how many it took (receive.c). */
size_t conn_receive(struct conn *conn, const uint8_t *bytes, size_t len);

static inline bool conn_may_receive(const struct conn *conn)
{
	return conn->phase == CONN_NEW ||
	       (conn->phase == CONN_UP && TAILQ_EMPTY(&conn->blocked) &&
		TAILQ_EMPTY(&conn->held));
}

#endif
