/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctrl.h - a controller: the association of one host's queues
 *
 * Owns: the registers, the keep-alive timer, the outstanding event requests, the
 * features that the host set, the error log.
 *
 * Never: outlives its queues, or dies before them. It is made by the Connect on
 * its admin queue; when that connection ends, or the host is found to be gone, all
 * its connections are aborted, and it is freed with the last.
 *
 * It belongs to the thread of its admin queue, @target; its other queues may be on any.
 * What those look at is marked below: [lock] is under the subsystem's lock, [atomic]
 * is written here and read there. A Read or Write looks at csts, write_cache and what
 * never changes.
 */
#ifndef NVMET_CTRL_H
#define NVMET_CTRL_H

#include "target.h"
#include "task.h"

#define ERROR_LOG_ENTRIES 16
#define AER_LIMIT 4    /* AERL is one less */
#define ABORT_LIMIT 4  /* ACL is one less */
#define NVME_VERSION 0x00010400

enum wish_state {
	WISH_NONE,
	WISH_ASKED,    /* the queue's thread is to look */
	WISH_ANSWERED, /* the controller's is */
};

/* An Abort of a command on a queue of another thread (abort.c). */
struct abort_wish {
	enum wish_state state;
	struct task *task; /* the Abort; NULL: its own queue has gone */
	uint16_t qid, cid;
	bool aborted;
};

struct ctrl {
	TAILQ_ENTRY(ctrl) in_target;
	TAILQ_ENTRY(ctrl) in_subsystem; /* [lock] */
	struct target *target;
	uint16_t cntlid;
	bool discovery;
	bool end_asked; /* [lock] by another thread, with @end_status */
	bool ending;    /* [atomic] @end_status is what it will be */
	int end_status;
	uint64_t end_ns;
	uint32_t epoch; /* [lock to write, atomic] queues of an earlier one are over */
	char hostnqn[NQN_MAX + 1];
	uint8_t hostid[16];

	uint64_t cap;
	uint32_t cc;
	uint32_t csts; /* [atomic] */

	/* [lock] */
	struct {
		struct conn *conn;
		struct target *target; /* whose thread alone may look into it */
	} queues[IO_QUEUES_MAX + 1]; /* by queue id */
	unsigned conns;     /* not yet closed, also when off that list */
	uint16_t io_queues; /* what Number of Queues granted */
	struct abort_wish wishes[ABORT_LIMIT];

	uint32_t kato_ms;
	bool keep_alive_late;
	ev_timer keep_alive;

	uint32_t event_config;
	uint32_t events_pending; /* bits of enum ctrl_event */
	uint32_t events_masked;  /* reported, and the log not read since */
	struct task_list events; /* parked requests */
	unsigned event_count;
	bool write_cache; /* [atomic] */

	/* [lock] */
	struct nvme_error_log_page errors[ERROR_LOG_ENTRIES];
	uint64_t error_count;

	uint64_t started_ns;
	uint64_t commands, released, bytes; /* [lock] */
};

enum ctrl_event {
	CTRL_EVENT_DEGRADED = 1 << 0, /* SMART: reliability degraded */
};

/* A status, and with 0 the controller. */
uint16_t ctrl_new(struct target *target, const struct nvmf_connect_data *data, bool discovery,
		  uint32_t kato_ms, struct ctrl **ctrl);
/* Under the subsystem's lock. */
void ctrl_attach(struct ctrl *ctrl, struct conn *conn, uint16_t qid);
/* One of its connections has closed; frees the controller after the last. */
void ctrl_detach(struct ctrl *ctrl, struct conn *conn);
/* Aborts every connection that it has; @here is the thread that calls. */
void ctrl_end(struct ctrl *ctrl, struct target *here, int status);
/* Another thread may have ended a controller of this one, or one of its queues. */
void ctrls_look(struct target *target);

/* Is the queue there? @conn: NULL if it is on another thread. */
bool ctrl_queue(struct ctrl *ctrl, uint16_t qid, struct conn **conn);
bool ctrl_has_io_queue(struct ctrl *ctrl);
void ctrl_set_io_queues(struct ctrl *ctrl, uint16_t count);

uint16_t ctrl_read_register(const struct ctrl *ctrl, uint32_t offset, bool wide,
			    uint64_t *value);
uint16_t ctrl_write_register(struct ctrl *ctrl, uint32_t offset, bool wide, uint64_t value);
bool ctrl_ready(const struct ctrl *ctrl);
/* This queue's controller has ended, or was disabled since: its commands act no more. On any
 * thread. */
bool ctrl_is_over(const struct conn *conn);
bool ctrl_write_cache(const struct ctrl *ctrl);

void ctrl_set_keep_alive(struct ctrl *ctrl, uint32_t kato_ms);
void ctrl_heard(struct ctrl *ctrl);

/* Takes back what was wished for, on the queue's thread. */
void aborts_look_at_queue(struct conn *conn);
/* Answers the Aborts that wait for it, on the controller's. */
void aborts_look(struct ctrl *ctrl);
/* Under the lock: nobody will look at these wishes any more. */
void aborts_queue_gone(struct ctrl *ctrl, uint16_t qid);
/* The Abort itself goes. */
void abort_forget(struct task *task);

/* A medium has failed: it is counted, and hosts may have asked to hear of it. */
void ctrls_medium_failed(struct target *target);
void ctrl_park(struct ctrl *ctrl, struct task *task);
void ctrl_unpark(struct ctrl *ctrl, struct task *task);
void ctrl_send_events(struct ctrl *ctrl);
void ctrl_log_error(struct ctrl *ctrl, const struct task *task);
/* The errors there ever were; @log gets the last of them, newest first, unless NULL. */
uint64_t ctrl_errors(struct ctrl *ctrl, struct nvme_error_log_page *log);

#endif
