/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * task.c - buffers of a command, and the way of its answer to the host
 *
 * Owns: the order of the end. A task with data becomes a zcreq request: headers,
 * digests, blocks and the completion go out as one send, straight from where they
 * lie, and everything is let go in released(), which is the only place where a
 * block that was sent loses its reference.
 *
 * Never: sends past a blocked answer, retries on a timer, or copies data.
 *
 * Headers share the zero-copy call with their data, where they lie, in the task. What
 * counts is how many PDUs a call takes, not whose memory a header is in; a header copied
 * ahead with MSG_MORE makes two calls of each PDU. Processor time of one PDU, in us, from
 * scripts/bench headers 9 200, ways in turn, medians, Linux 6.18 on two busy cores:
 *
 *	                            loopback           veth
 *	                        4 KiB  128 KiB   4 KiB  128 KiB
 *	copied, many in a call    1.2     32.0     1.1     33.1
 *	as here                   3.6     54.6     3.2     61.3
 *	headers in one page       3.3     52.7     3.2     62.4
 *	one PDU in a call         9.8     46.5    12.5     54.0
 *	MSG_MORE, then data       9.2     48.9    12.7     53.6
 *
 * (Both paths copy in the end, so that zero-copy can only lose on them.)
 *
 * Answers without data are 24 bytes and are copied into the stream by
 * zcreq_write(): there is nothing to track.
 */
#include "task.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "conn.h"
#include "crc.h"
#include "ctrl.h"
#include "pdu.h"

/* For each PDU a header and a digest, for each block a piece, and the completion; the smallest
 * C2HData is one block, and one more has the rest where the first began in the midst of one. */
#define IOV_MAX_ANSWER (3 * (TRANSFER_MAX / BLOCK_BYTES + 1) + 1)
_Static_assert(IOV_MAX_ANSWER <= ZCREQ_IOV_MAX, "an answer is one send");

#define SPARE_TASKS 256 /* kept by a thread: the steady state allocates nothing */

/*
 * Memory with headers that the kernel sends from. When it is detached its pages are exchanged,
 * and what another thread writes to the same page in that moment is lost: so then it shares
 * pages with nothing.
 */
static void *sent_memory(const struct target *target, size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!target->options.detach_ms)
		return malloc(len);
	return aligned_alloc(page, (len + page - 1) / page * page);
}

static struct task *take_spare(struct target *target)
{
	struct task *task = SLIST_FIRST(&target->spare_tasks);

	if (!task)
		return sent_memory(target, sizeof(*task));
	SLIST_REMOVE_HEAD(&target->spare_tasks, spare);
	target->spare_task_count--;
	return task;
}

/* The last one is taken first: it is in the cache. */
static void put_spare(struct target *target, struct task *task)
{
	if (target->spare_task_count == SPARE_TASKS) {
		free(task);
		return;
	}
	SLIST_INSERT_HEAD(&target->spare_tasks, task, spare);
	target->spare_task_count++;
}

void tasks_free_spare(struct target *target)
{
	while (target->spare_task_count)
		free(take_spare(target));
}

struct task *task_new(struct conn *conn, const struct wire_sqe *sqe)
{
	struct task *task = take_spare(conn->target);

	if (!task)
		return NULL;
	memset(task, 0, offsetof(struct task, few_blocks));
	task->conn = conn;
	task->state = TASK_ARRIVING;
	task->sqe = *sqe;
	task->blocks = task->few_blocks;
	task->heads = task->few_heads;
	TAILQ_INSERT_TAIL(&conn->tasks, task, in_conn);
	conn->outstanding++;
	return task;
}

/* Takes the task off the list that its state is about. */
static void leave_state(struct task *task)
{
	struct conn *conn = task->conn;

	switch (task->state) {
	case TASK_READY:
		TAILQ_REMOVE(&conn->ready, task, in_queue);
		conn->ready_count--;
		break;
	case TASK_HELD:
		TAILQ_REMOVE(&conn->held, task, in_queue);
		break;
	case TASK_WAITING:
		TAILQ_REMOVE(&conn->wanting, task, in_queue);
		break;
	case TASK_TRANSFER:
		conn->tags[task->tag] = NULL;
		conn->asked_bytes -= task->data_len;
		conn->asked_large -= task->data_len >= LARGE_BYTES;
		break;
	case TASK_WORKING:
		TAILQ_REMOVE(&conn->target->working, task, in_queue);
		break;
	case TASK_PARKED:
		ctrl_unpark(conn->ctrl, task);
		break;
	case TASK_ASKING:
		abort_forget(task);
		break;
	case TASK_BLOCKED:
		TAILQ_REMOVE(&conn->blocked, task, in_queue);
		break;
	case TASK_ARRIVING:
		if (conn->arriving == task)
			conn->arriving = NULL;
		break;
	case TASK_SENDING:
	case TASK_WITHDRAWN:
		break;
	}
}

void task_enter(struct task *task, enum task_state state)
{
	leave_state(task);
	task->state = state;
}

static void forget(struct task *task)
{
	task_drop_blocks(task);
	if (task->heads != task->few_heads)
		free(task->heads);
	TAILQ_REMOVE(&task->conn->tasks, task, in_conn);
	put_spare(task->conn->target, task);
}

void task_free(struct task *task)
{
	leave_state(task);
	task->conn->outstanding--;
	forget(task);
}

/* One command less is in the queue. */
static void move_head(struct conn *conn)
{
	conn->sqhd = (uint16_t)((conn->sqhd + 1) % conn->queue_size);
}

void task_vanish(struct task *task)
{
	move_head(task->conn);
	task_free(task);
}

/* As if there had been no answer: the queue head moves once for each command. */
static void answer_again(struct task *task)
{
	struct conn *conn = task->conn;

	task->begun = false;
	conn->outstanding++;
	conn->commands--;
	conn->read_bytes -= task->data_len;
	conn->sqhd = (uint16_t)((conn->sqhd + conn->queue_size - 1) % conn->queue_size);
	task_complete(task, NVME_SC_ABORT_REQ);
}

bool task_withdraw(struct task *task)
{
	if (!task->begun ||
	    zcreq_abort(task->conn->target->context, task->id, -ECANCELED) < 0)
		return false;
	task->state = TASK_WITHDRAWN;
	return true;
}

static void released(zcreq_id id, int status, void *arg)
{
	struct task *task = arg;
	struct conn *conn = task->conn;

	(void)id;
	(void)status;
	conn->sending--;
	conn->sending_bytes -= task->data_len;
	conn->released++;
	if (task->state == TASK_BLOCKED) { /* never sent: the connection died first */
		leave_state(task);
		conn->outstanding--;
	}
	if (task->state == TASK_WITHDRAWN && conn->phase == CONN_UP)
		answer_again(task);
	else
		forget(task);
	if (!TAILQ_EMPTY(&conn->held) &&
	    conn->sending_bytes <= conn->target->options.cap_bytes / 2)
		conn_run_held(conn);
}

/* The connection died while the answer was blocked: nothing will be added. */
static void aborting(zcreq_id id, int status, void *arg)
{
	struct task *task = arg;
	int err = zcreq_finish(task->conn->target->context, id, status);

	assert(err == 0);
	(void)err;
}

static const struct zcreq_request_hooks task_ops = { .released = released, .aborting = aborting };

static struct wire_cqe completion(const struct task *task)
{
	const struct conn *conn = task->conn;

	return (struct wire_cqe){
		.result = htole64(task->result),
		.sqhd = htole16(conn->flow_disabled ? 0xffff : conn->sqhd),
		.sqid = htole16(conn->qid),
		.cid = task->sqe.cid,
		.status = htole16((uint16_t)(task->status << 1)),
	};
}

/* The completion may be left out if it would say nothing but success, and the host
 * has no need of the queue head in it. */
static bool success_is_enough(const struct task *task)
{
	return task->conn->flow_disabled && task->result == 0;
}

/* Room for every header and digest of the answer. */
static int heads_ready(struct task *task, uint32_t pdus)
{
	size_t each = pdu_c2h_header_len(&task->conn->agreed) + PDU_DIGEST_LEN;
	size_t len = pdus * each + sizeof(struct pdu_capsule_resp) + PDU_DIGEST_LEN;

	if (len <= TASK_FEW_HEADS || task->heads != task->few_heads)
		return 0;
	task->heads = sent_memory(task->conn->target, len);
	if (task->heads)
		return 0;
	task->heads = task->few_heads;
	return -ENOMEM;
}

/* PDUs end where blocks do: the first is shorter where its data begins in the midst of one. */
static uint32_t pdu_room(const struct task *task, uint32_t offset)
{
	uint32_t max = task->conn->target->options.c2h_data_max;
	uint32_t room = offset ? max : max - task->lead, left = task->data_len - offset;

	return left < room ? left : room;
}

/* Lays the answer out. Repeatable: a blocked answer is laid out again, since the
 * queue head in it may have moved. */
static int lay_out(struct task *task, struct iovec *iov)
{
	const struct conn *conn = task->conn;
	uint32_t max = conn->target->options.c2h_data_max, offset, len, crc;
	uint32_t pdus = (task->lead + task->data_len + max - 1) / max;
	unsigned count = 0, pieces;
	uint8_t flags, *head;
	struct wire_cqe cqe;

	if (heads_ready(task, pdus) < 0)
		return -ENOMEM;
	head = task->heads;
	for (offset = 0; offset < task->data_len; offset += len) {
		len = pdu_room(task, offset);
		flags = offset + len < task->data_len ? 0 : PDU_F_LAST;
		if (flags && success_is_enough(task))
			flags |= PDU_F_SUCCESS;
		iov[count].iov_base = head;
		iov[count].iov_len = pdu_put_c2h(head, &conn->agreed, le16toh(task->sqe.cid),
						 flags, offset, len);
		head += iov[count++].iov_len;
		pieces = task_pieces(task, offset, len, iov + count);
		count += pieces;
		if (!conn->agreed.data_digest)
			continue;
		for (crc = CRC_START; pieces; pieces--)
			crc = crc_update(crc, iov[count - pieces].iov_base, iov[count - pieces].iov_len);
		pdu_put_digest(head, crc);
		iov[count++] = (struct iovec){ head, PDU_DIGEST_LEN };
		head += PDU_DIGEST_LEN;
	}
	if (!success_is_enough(task)) {
		cqe = completion(task);
		iov[count].iov_base = head;
		iov[count++].iov_len = pdu_put_resp(head, &conn->agreed, &cqe);
	}
	return (int)count;
}

/* The whole answer as one send of one request. */
static int send_data(struct task *task)
{
	struct conn *conn = task->conn;
	struct iovec iov[IOV_MAX_ANSWER];
	int count, err;

	if (!task->begun) {
		err = zcreq_begin(conn->stream, &task_ops, task, 0, &task->id);
		if (err < 0)
			return err;
		task->begun = true;
		conn->sending++;
		conn->sending_bytes += task->data_len;
	}
	count = lay_out(task, iov);
	if (count < 0)
		return count;
	err = zcreq_add(conn->target->context, task->id, iov,
			count, 0);
	if (err == 0)
		err = zcreq_finish(conn->target->context, task->id, 0);
	return err;
}

static int send_completion(struct task *task)
{
	struct wire_cqe cqe = completion(task);
	uint8_t bytes[PDU_HEADER_ROOM];
	size_t len = pdu_put_resp(bytes, &task->conn->agreed, &cqe);

	return zcreq_write(task->conn->stream, bytes, len);
}

/* Hands the answer to zcreq. After anything but -EAGAIN the task is not ours. */
static int send_answer(struct task *task)
{
	struct conn *conn = task->conn;
	uint16_t head = conn->sqhd;
	bool data = task->reply_data && !task->status;
	int err;

	move_head(conn);
	err = data ? send_data(task) : send_completion(task);
	if (err == -EAGAIN) {
		conn->sqhd = head;
		return err;
	}
	task_enter(task, TASK_SENDING);
	conn->outstanding--;
	if (data && !err)
		conn->read_bytes += task->data_len;
	/* ending already, or no memory: the connection is not to be saved */
	if (err < 0)
		conn_abort(conn, err == -ESHUTDOWN || err == -ECANCELED ? -ECONNABORTED : err);
	if (!task->begun)
		forget(task);
	return err;
}

void task_complete(struct task *task, uint16_t status)
{
	struct conn *conn = task->conn;

	task->status = status;
	conn->commands++;
	if (status && conn->ctrl)
		ctrl_log_error(conn->ctrl, task);
	if (status || !task->reply_data)
		task_drop_blocks(task);
	if (TAILQ_EMPTY(&conn->blocked) && send_answer(task) != -EAGAIN)
		return;
	task_enter(task, TASK_BLOCKED);
	TAILQ_INSERT_TAIL(&conn->blocked, task, in_queue);
}

void tasks_unblock(struct conn *conn)
{
	struct task *task;

	while ((task = TAILQ_FIRST(&conn->blocked)))
		if (send_answer(task) == -EAGAIN)
			return;
	tasks_ask(conn);
	conn_run_held(conn);
}

void task_set_working(struct task *task)
{
	task_enter(task, TASK_WORKING);
	TAILQ_INSERT_TAIL(&task->conn->target->working, task, in_queue);
}

void task_want_data(struct task *task)
{
	task_enter(task, TASK_WAITING);
	TAILQ_INSERT_TAIL(&task->conn->wanting, task, in_queue);
	tasks_ask(task->conn);
}

/* As many tags as commands that may be outstanding: one is always free. */
static uint16_t free_tag(struct conn *conn)
{
	while (conn->tags[conn->next_tag])
		conn->next_tag = (uint16_t)((conn->next_tag + 1) % conn->queue_size);
	return conn->next_tag;
}

static int ask(struct task *task)
{
	struct conn *conn = task->conn;
	uint8_t bytes[PDU_HEADER_ROOM];
	size_t len;
	int err;

	task->tag = free_tag(conn);
	len = pdu_put_r2t(bytes, &conn->agreed, le16toh(task->sqe.cid), task->tag, 0,
			  task->data_len);
	err = zcreq_write(conn->stream, bytes, len);
	if (err < 0)
		return err;
	task_enter(task, TASK_TRANSFER);
	conn->tags[task->tag] = task;
	conn->asked_bytes += task->data_len;
	conn->asked_large += task->data_len >= LARGE_BYTES;
	return 0;
}

void tasks_ask(struct conn *conn)
{
	struct task *task;
	int err;

	while ((task = TAILQ_FIRST(&conn->wanting))) {
		if (conn->asked_bytes &&
		    conn->asked_bytes + task->data_len > conn->target->options.cap_bytes)
			return;
		if (!task->block_count && task_buffer(task, task->data_len) < 0) {
			task_complete(task, NVME_SC_INTERNAL);
			continue;
		}
		err = ask(task);
		if (err == -EAGAIN)
			return; /* the room hook comes back here */
		if (err < 0) {
			conn_abort(conn, err == -ESHUTDOWN ? -ECONNABORTED : err);
			return;
		}
	}
}

void tasks_drop(struct conn *conn)
{
	struct task *task, *next;

	for (task = TAILQ_FIRST(&conn->tasks); task; task = next) {
		next = TAILQ_NEXT(task, in_conn);
		if (!task->begun)
			task_free(task);
	}
}
