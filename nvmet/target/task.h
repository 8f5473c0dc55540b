/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task.h - one NVMe command, from its capsule to the proof that its answer is sent
 *
 * Owns: the blocks that the command moves, either way, and the headers and digests
 * of its answer: everything that the kernel may still read lives in the task or is
 * referenced by it, until zcreq says that it is released.
 *
 * Never: decides what a command does (command.h). Never freed while zcreq holds it.
 *
 * Built around one state. A task is in exactly one place: being received, ready, held (its
 * answer would find no room, so it has not run), waiting to be asked for its data, receiving
 * data, working (in slices), parked (an asynchronous event request), asking another thread (an
 * Abort), blocked (its answer found no room), or in zcreq's hands.
 */
#ifndef NVMET_TASK_H
#define NVMET_TASK_H

#include <sys/queue.h>
#include <sys/uio.h>
#include <zcreq/zcreq.h>

#include "block.h"
#include "wire.h"

#define TASK_FEW_BLOCKS 32
#define TASK_FEW_HEADS 128

struct command;
struct conn;
struct target;

enum task_state {
	TASK_ARRIVING = 1, /* its capsule is not complete */
	TASK_READY,        /* all of it is here: runs with those that came with it */
	TASK_HELD,         /* the same, but there is no room for its answer: has not run */
	TASK_WAITING,      /* for its turn to ask the host for data */
	TASK_TRANSFER,     /* data was asked for */
	TASK_WORKING,      /* a slice in each turn */
	TASK_PARKED,       /* waits for an event */
	TASK_ASKING,       /* an Abort that another thread is to answer */
	TASK_BLOCKED,      /* answered, but the connection holds what it may */
	TASK_SENDING,      /* zcreq's, until released */
	TASK_WITHDRAWN,    /* the same, but nothing of it is sent: it gets another answer */
};

struct task {
	TAILQ_ENTRY(task) in_conn;
	SLIST_ENTRY(task) spare;    /* of nobody: to be used again */
	TAILQ_ENTRY(task) in_queue; /* of the state that has one */
	struct conn *conn;
	enum task_state state;
	bool begun; /* zcreq knows it: it ends in released, not before */
	zcreq_id id;

	const struct command *command;
	struct wire_sqe sqe;
	uint16_t status;
	uint64_t result;

	void (*slice)(struct task *task); /* of its work; see task_work() */
	uint32_t work_range, work_done;

	uint16_t tag;
	bool from_capsule;
	bool digest_bad;
	bool reply_data;       /* the blocks go to the host */
	uint32_t capsule_skip; /* where in the capsule's data its own starts */
	uint32_t lead;         /* bytes of the first block before its data */
	uint32_t reply_most;   /* bytes of data in its answer, at most */
	uint32_t data_len;
	uint32_t data_done;

	uint32_t block_count;
	struct block **blocks;
	struct block *few_blocks[TASK_FEW_BLOCKS];
	uint8_t *heads;
	uint8_t few_heads[TASK_FEW_HEADS];
};

TAILQ_HEAD(task_list, task);

/* NULL without memory. */
struct task *task_new(struct conn *conn, const struct wire_sqe *sqe);
/* At the thread's end. */
void tasks_free_spare(struct target *target);
/* Not for a task that has begun: that one is freed when it is released. */
void task_free(struct task *task);
/* The same where the queue goes on: the command leaves it without an answer. */
void task_vanish(struct task *task);

/* Blocks for @len bytes behind the lead, of undefined content. 0 or -ENOMEM. */
int task_buffer(struct task *task, uint32_t len);
/* Only the array, for blocks that come from elsewhere. */
int task_block_array(struct task *task, uint32_t count);
/* Gives blocks behind the first @count back: the host sent more than the command takes. */
void task_trim(struct task *task, uint32_t count);
/* Copies into the buffer, as much as fits in it. */
void task_put(struct task *task, uint32_t offset, const void *bytes, size_t len);
/* Copies out of the buffer, which is at least that long. */
void task_get(const struct task *task, uint32_t offset, void *bytes, size_t len);
/* Where @len bytes of the buffer lie, neighbours in memory as one piece: how many pieces, at
 * most one for each block that is touched. */
unsigned task_pieces(const struct task *task, uint32_t offset, uint32_t len, struct iovec *iov);
/* Lets go of all of them. */
void task_drop_blocks(struct task *task);
/* task_buffer(), zeroed, and marked as the answer. */
int task_reply_buffer(struct task *task, uint32_t len);

/* The command is over: answer it, now or when there is room. */
void task_complete(struct task *task, uint16_t status);
/* Calls @slice now, and then once in each turn until it ends in task_complete() (work.c). */
void task_work(struct task *task, void (*slice)(struct task *task));
/* Leaves the list of the state that it was in; whoever calls puts it on that of the new one. */
void task_enter(struct task *task, enum task_state state);
/* Only for task_work(). */
void task_set_working(struct task *task);
void work_init(struct target *target);
/* Asks the host for the data of a write, in turn. */
void task_want_data(struct task *task);

/* Takes back an answer of which no byte has left; the command is then answered as aborted.
 * False: it is on its way. */
bool task_withdraw(struct task *task);

/* There is room on the connection again. */
void tasks_unblock(struct conn *conn);
/* Asks for data on behalf of those whose turn has come. */
void tasks_ask(struct conn *conn);
/* The connection ends: frees what zcreq does not know. */
void tasks_drop(struct conn *conn);

#endif
