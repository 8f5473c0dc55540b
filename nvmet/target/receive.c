/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * receive.c - from PDUs to tasks: the transport's rules that need to know commands
 *
 * Owns: the handshake, the match of a capsule with its data, the order and range
 * of H2CData. Never: touches what a command means, or trusts a tag.
 *
 * Commands that came together run together: those that look up blocks are announced
 * to their store first, so that what it looks at is in the cache when they run.
 *
 * A command whose answer would find no room does not run: it is held, and so is what came
 * after it, so that nothing is read from a store for a host that does not read. Receiving
 * stops between two PDUs as soon as an answer is blocked or a command held: what is left
 * stays with the caller until there is room.
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "conn.h"

#define READY_MOST 32 /* commands that are parsed before the first of them runs */

/* Everything the command needs is here. Its controller may have ended on another thread, and
 * the host been told after which time nothing of it acts any more. */
static void run(struct task *task)
{
	if (task->digest_bad)
		task_complete(task, NVME_SC_TRAN_TPORT_ERROR);
	else if (task->conn->ctrl && ctrl_is_over(task->conn))
		task_complete(task, NVME_SC_ABORT_QUEUE);
	else
		task->command->run(task);
}

/* With nothing on its way there is always room, as there is for zcreq's. An answer of a few
 * bytes takes a block all the same. */
static bool has_room(const struct task *task)
{
	const struct conn *conn = task->conn;
	uint64_t cap = conn->target->options.cap_bytes;

	if (!conn->sending || !task->reply_most)
		return true;
	return conn->sending_bytes + task->reply_most <= cap &&
	       (conn->sending + 1) * (uint64_t)BLOCK_BYTES <= cap;
}

/* Commands run in the order in which they came. */
static bool may_run(const struct task *task)
{
	return TAILQ_EMPTY(&task->conn->blocked) && TAILQ_EMPTY(&task->conn->held) &&
	       has_room(task);
}

static void hold(struct task *task)
{
	task_enter(task, TASK_HELD);
	TAILQ_INSERT_TAIL(&task->conn->held, task, in_queue);
}

void conn_run_held(struct conn *conn)
{
	struct task *task;

	while (conn->phase == CONN_UP && TAILQ_EMPTY(&conn->blocked) &&
	       (task = TAILQ_FIRST(&conn->held)) && has_room(task))
		run(task);
	conn_read_on(conn);
}

/* Each leaves the list in task_complete(), or is held. Those of a connection that ends are
 * dropped with the rest of it. */
static void run_ready(struct conn *conn)
{
	struct task *task;
	unsigned step;

	for (step = 0; step < STORE_STEPS; step++)
		TAILQ_FOREACH(task, &conn->ready, in_queue)
			task->command->expect(task, (enum store_step)step);
	while (conn->phase == CONN_UP && (task = TAILQ_FIRST(&conn->ready))) {
		if (may_run(task))
			run(task);
		else
			hold(task);
	}
}

/* Runs it, now or with those that are here as well, in the order in which they came. */
static void ready(struct task *task)
{
	struct conn *conn = task->conn;

	if (!task->command->expect) {
		run_ready(conn);
		if (may_run(task))
			run(task);
		else
			hold(task);
		return;
	}
	task->state = TASK_READY;
	TAILQ_INSERT_TAIL(&conn->ready, task, in_queue);
	if (++conn->ready_count == READY_MOST)
		run_ready(conn);
}

/* What came before it was right, and is answered. */
static void terminate(struct conn *conn, uint16_t fes, uint32_t fei, size_t wrong_len)
{
	run_ready(conn);
	if (conn->phase != CONN_ENDING)
		conn_terminate(conn, fes, fei, conn->reader.header.bytes, wrong_len);
}

static void wrong(struct conn *conn, uint16_t fes, uint32_t fei)
{
	terminate(conn, fes, fei, conn->reader.header.common.hlen);
}

static void on_ic_req(struct conn *conn)
{
	const struct pdu_ic_req *request = &conn->reader.header.ic_req;
	const struct options *options = &conn->target->options;
	uint8_t bytes[sizeof(struct pdu_ic_resp)];
	size_t len;

	if (request->pfv != 0) {
		wrong(conn, FES_UNSUPPORTED, offsetof(struct pdu_ic_req, pfv));
		return;
	}
	if (request->hpda > 31) {
		wrong(conn, FES_FIELD, offsetof(struct pdu_ic_req, hpda));
		return;
	}
	conn->agreed.data_align = 4 * (request->hpda + 1u);
	if (!options->digests_refused) {
		conn->agreed.header_digest = request->dgst & PDU_IC_DGST_HEADER;
		conn->agreed.data_digest = request->dgst & PDU_IC_DGST_DATA;
	}
	len = pdu_put_ic_resp(bytes, &conn->agreed, options->h2c_data_max);
	if (zcreq_write(conn->stream, bytes, len) < 0) {
		conn_abort(conn, -ECONNABORTED);
		return;
	}
	pdu_reader_establish(&conn->reader, &conn->agreed, CAPSULE_DATA_MAX,
			     options->h2c_data_max);
	conn->phase = CONN_UP;
}

/* Where the data comes from or goes to: compares the SGL with what the command
 * moves. */
static uint16_t match_data(struct task *task, uint32_t expected, uint32_t capsule_data)
{
	const struct wire_sgl *sgl = &task->sqe.sgl;
	uint8_t code = task->sqe.opcode == nvme_admin_fabrics ? (uint8_t)le32toh(task->sqe.nsid)
							      : task->sqe.opcode;
	bool to_host = (code & DIRECTION_MASK) == DIRECTION_TO_HOST;
	uint32_t len = le32toh(sgl->len), most = expected > BLOCK_BYTES ? expected : BLOCK_BYTES;

	if (!expected)
		return 0;
	if (sgl->type != SGL_TRANSPORT && (sgl->type != SGL_IN_CAPSULE || to_host))
		return STATUS_DNR(NVME_SC_SGL_INVALID_TYPE);
	if (len < expected || (!to_host && len > most))
		return STATUS_DNR(NVME_SC_SGL_INVALID_DATA);
	if (to_host) {
		task->reply_most = expected;
		return 0;
	}
	task->data_len = len;
	if (sgl->type == SGL_TRANSPORT)
		return 0;
	if (le64toh(sgl->addr) > capsule_data || len > capsule_data - le64toh(sgl->addr))
		return STATUS_DNR(NVME_SC_SGL_INVALID_OFFSET);
	task->from_capsule = true;
	task->capsule_skip = (uint32_t)le64toh(sgl->addr);
	return task_buffer(task, len) < 0 ? NVME_SC_INTERNAL : 0;
}

static uint16_t prepare(struct task *task, uint32_t capsule_data)
{
	uint32_t expected = 0;
	uint16_t status;

	status = command_find(task, &task->command);
	if (status)
		return status;
	if ((task->sqe.flags & SQE_PSDT_MASK) != SQE_PSDT_SGL ||
	    (task->sqe.flags & SQE_FUSE_MASK))
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	if (task->command->check)
		status = task->command->check(task, &expected);
	return status ? status : match_data(task, expected, capsule_data);
}

static void on_capsule(struct conn *conn)
{
	struct task *task;

	if (conn->outstanding >= conn->queue_size) {
		wrong(conn, FES_SEQUENCE, 0); /* the queue is full, and the host knew */
		return;
	}
	task = task_new(conn, &conn->reader.header.capsule.sqe);
	if (!task) {
		conn_abort(conn, -ENOMEM);
		return;
	}
	conn->arriving = task;
	task->status = prepare(task, conn->reader.data_len);
}

static void on_h2c_data(struct conn *conn)
{
	const struct pdu_data *data = &conn->reader.header.data;
	uint16_t tag = le16toh(data->ttag);
	uint32_t offset = le32toh(data->offset), length = le32toh(data->length);
	struct task *task = tag < conn->queue_size ? conn->tags[tag] : NULL;
	bool last;

	if (!task) {
		wrong(conn, FES_FIELD, offsetof(struct pdu_data, ttag));
		return;
	}
	if (data->cccid != task->sqe.cid) {
		wrong(conn, FES_FIELD, offsetof(struct pdu_data, cccid));
		return;
	}
	if (offset != task->data_done || length > task->data_len - offset) {
		wrong(conn, FES_RANGE, 0);
		return;
	}
	last = offset + length == task->data_len;
	if (last != !!(data->common.flags & PDU_F_LAST)) {
		wrong(conn, FES_FIELD, offsetof(struct pdu_common, flags));
		return;
	}
	conn->arriving = task;
}

/* One switch for the four types that a host may send; the reader let no other
 * pass. */
static void on_header(struct conn *conn)
{
	switch (conn->reader.header.common.type) {
	case PDU_IC_REQ:
		on_ic_req(conn);
		break;
	case PDU_CAPSULE_CMD:
		on_capsule(conn);
		break;
	case PDU_H2C_DATA:
		on_h2c_data(conn);
		break;
	default: /* the host's own TermReq: it is about to close */
		say("protocol %s qid=%u host_fes=%u", conn->peer, conn->qid,
		    le16toh(conn->reader.header.term.fes));
		conn_abort(conn, -ECONNRESET);
		break;
	}
}

static void on_payload(struct conn *conn, const struct pdu_piece *piece)
{
	struct task *task = conn->arriving;
	uint32_t offset = piece->offset, skip = 0;

	if (!task || task->status || !task->block_count)
		return;
	if (task->state == TASK_TRANSFER) {
		task_put(task, task->data_done + offset, piece->bytes, piece->len);
		return;
	}
	if (offset < task->capsule_skip)
		skip = task->capsule_skip - offset;
	if (skip < piece->len)
		task_put(task, offset + skip - task->capsule_skip, piece->bytes + skip,
			 piece->len - skip);
}

static void on_end(struct conn *conn)
{
	struct task *task = conn->arriving;

	if (!task)
		return;
	conn->arriving = NULL;
	if (conn->reader.data_digest_bad)
		task->digest_bad = true;
	if (task->state == TASK_TRANSFER) {
		task->data_done += conn->reader.data_len;
		if (task->data_done == task->data_len) {
			run(task);
			tasks_ask(conn); /* the next in turn */
		}
	} else if (task->status) {
		task_complete(task, task->status);
	} else if (task->data_len && !task->from_capsule) {
		task_want_data(task);
	} else {
		ready(task);
	}
}

/* The blocks are the task's alone until all of its data is here: what a host that is lost in
 * the midst of it leaves there is never read. */
unsigned conn_place(const struct conn *conn, struct iovec *iov)
{
	uint32_t left = pdu_data_left(&conn->reader), offset;
	const struct task *task = conn->arriving;

	if (conn->phase != CONN_UP || !left || !task || task->state != TASK_TRANSFER)
		return 0;
	offset = task->data_done + conn->reader.data_done;
	return task_pieces(task, offset, left < PLACE_BYTES ? left : PLACE_BYTES, iov);
}

size_t conn_placed(struct conn *conn, const struct iovec *iov, unsigned count, size_t len)
{
	size_t left = len, some;

	for (; count && left; count--, iov++, left -= some) {
		some = left < iov->iov_len ? left : iov->iov_len;
		pdu_data_came(&conn->reader, iov->iov_base, (uint32_t)some);
	}
	return len - left;
}

size_t conn_receive(struct conn *conn, const uint8_t *bytes, size_t len)
{
	struct pdu_reader *reader = &conn->reader;
	size_t left = len;
	struct pdu_piece piece;

	while (conn->phase == CONN_NEW || conn->phase == CONN_UP) {
		if (!conn_may_receive(conn) && pdu_reader_idle(reader)) {
			run_ready(conn);
			return len - left;
		}
		switch (pdu_read(reader, &bytes, &left, &piece)) {
		case PDU_MORE:
			run_ready(conn);
			return len;
		case PDU_HEADER:
			on_header(conn);
			break;
		case PDU_PAYLOAD:
			on_payload(conn, &piece);
			break;
		case PDU_END:
			on_end(conn);
			break;
		case PDU_FATAL:
			terminate(conn, reader->fes, reader->fei, pdu_reader_wrong_len(reader));
			break;
		}
	}
	return len; /* a connection that ends has no use for the rest */
}
