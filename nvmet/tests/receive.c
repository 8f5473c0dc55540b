/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * receive.c - the incoming half of a queue: reads the stream and judges every PDU
 *
 * Owns the state of the receiver. A PDU's lengths, digests, flags, command, order
 * and offsets are checked before a byte of it is believed; the first thing that
 * is wrong ends the queue with the reason, and nothing after it is looked at.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "crc32c.h"
#include "receive.h"

/* Data that is longer than what is read ahead goes straight to its place. */
#define MAX_READ_CALLS 16

static void complete(struct ini_queue *queue, struct ini_command *command,
		     const struct wire_cqe *cqe)
{
	uint16_t cid = (uint16_t)(command - queue->commands);

	command->cqe = *cqe;
	command->busy = false;
	queue->in_flight--;
	queue->free_ids[queue->free_count++] = cid;
	if (command->done)
		command->done(queue, command, command->arg);
}

static struct ini_command *find(struct ini_queue *queue, uint16_t cid, const char *what)
{
	if (cid >= queue->depth || !queue->commands[cid].busy) {
		ini_end(queue, "%s for command %u, which is not in flight", what, cid);
		return NULL;
	}
	return &queue->commands[cid];
}

static void take_icresp(struct ini_queue *queue)
{
	const struct wire_ic *ic = &queue->header.ic;
	uint8_t want = (uint8_t)((queue->hdgst ? WIRE_HDGST : 0) | (queue->ddgst ? WIRE_DDGST : 0));

	if (queue->ready)
		ini_end(queue, "a second ICResp");
	else if (ic->pfv || ic->dgst != want || ic->maxdata < 4096 || ic->maxdata % 4 || ic->pda > 31)
		ini_end(queue, "ICResp: version %u, digests %u, maxh2cdata %u, cpda %u", ic->pfv,
			ic->dgst, ic->maxdata, ic->pda);
	queue->maxh2cdata = ic->maxdata;
	queue->ready = true;
}

static void take_response(struct ini_queue *queue)
{
	const struct wire_cqe *cqe = &queue->header.response.cqe;
	struct ini_command *command = find(queue, cqe->cid, "a response");

	if (!command)
		return;
	if (command->received && command->received != command->len && !ini_status(cqe))
		ini_end(queue, "success for command %u after %u of %u bytes", cqe->cid,
			command->received, command->len);
	else
		complete(queue, command, cqe);
}

static void take_r2t(struct ini_queue *queue)
{
	const struct wire_data *r2t = &queue->header.data;
	struct ini_command *command = find(queue, r2t->cid, "an R2T");

	if (!command)
		return;
	if (!command->data || !r2t->len || (uint64_t)r2t->offset + r2t->len > command->len)
		ini_end(queue, "R2T for %u bytes at %u, the command has %u", r2t->len, r2t->offset,
			command->len);
	else
		ini_answer_r2t(queue, command, r2t);
}

static void take_term(struct ini_queue *queue)
{
	queue->fatal = queue->header.term.fes;
	queue->fatal_info = queue->header.term.fei;
	ini_end(queue, "C2HTermReq: status %u, information 0x%x", queue->fatal, queue->fatal_info);
}

/* The header of a C2HData: what must hold before its data is taken. */
static void begin_data(struct ini_queue *queue)
{
	const struct wire_data *pdu = &queue->header.data;
	uint32_t before = (uint32_t)sizeof(*pdu) + (queue->hdgst ? 4 : 0);
	uint32_t after = queue->ddgst ? 4 : 0;
	struct ini_command *command = find(queue, pdu->cid, "C2HData");

	if (!command)
		return;
	if (pdu->common.pdo < before || pdu->common.pdo % 4 ||
	    pdu->common.plen != pdu->common.pdo + pdu->len + after) {
		ini_end(queue, "C2HData: length %u, data at %u, %u bytes of data", pdu->common.plen,
			pdu->common.pdo, pdu->len);
		return;
	}
	if (command->data_done || pdu->offset != command->received ||
	    (uint64_t)pdu->offset + pdu->len > command->len || !pdu->len) {
		ini_end(queue, "C2HData: %u bytes at %u, the command has %u and got %u", pdu->len,
			pdu->offset, command->len, command->received);
		return;
	}
	if ((pdu->common.flags & WIRE_SUCCESS) && !(pdu->common.flags & WIRE_LAST)) {
		ini_end(queue, "C2HData: success without last");
		return;
	}
	queue->data = (uint8_t *)command->data + pdu->offset;
	queue->data_left = pdu->len;
	queue->data_crc = 0;
	queue->receive = INI_DATA;
}

static void end_data(struct ini_queue *queue)
{
	const struct wire_data *pdu = &queue->header.data;
	struct ini_command *command = &queue->commands[pdu->cid];
	struct wire_cqe success = { .cid = pdu->cid };

	queue->receive = INI_HEADER;
	queue->header_len = 0;
	command->received += pdu->len;
	command->data_done = pdu->common.flags & WIRE_LAST;
	if (command->data_done && command->received != command->len)
		ini_end(queue, "last C2HData after %u of %u bytes", command->received, command->len);
	else if (pdu->common.flags & WIRE_SUCCESS)
		complete(queue, command, &success);
}

/* The length that the header of this type must have, or 0 for a wrong type. */
static uint8_t header_size(uint8_t type)
{
	switch (type) {
	case WIRE_ICRESP:
		return sizeof(struct wire_ic);
	case WIRE_RESPONSE:
		return sizeof(struct wire_response);
	case WIRE_C2H_DATA:
	case WIRE_R2T:
		return sizeof(struct wire_data);
	case WIRE_C2H_TERM:
		return sizeof(struct wire_term);
	}
	return 0;
}

static bool has_digest(const struct ini_queue *queue, uint8_t type)
{
	return queue->hdgst && type != WIRE_ICRESP && type != WIRE_C2H_TERM;
}

/* How long the header with its digest is; checks the first eight bytes. */
static uint32_t header_need(struct ini_queue *queue)
{
	const struct wire_common *common = &queue->header.common;
	uint32_t need = header_size(common->type);

	if (queue->header_len < sizeof(*common))
		return sizeof(*common);
	if (!need || common->hlen != need) {
		ini_end(queue, "PDU type 0x%x with a header of %u", common->type, common->hlen);
		return 0;
	}
	if (!queue->ready && common->type != WIRE_ICRESP && common->type != WIRE_C2H_TERM)
		ini_end(queue, "PDU type 0x%x before the ICResp", common->type);
	if (common->type == WIRE_C2H_DATA)
		need = common->pdo > need ? common->pdo : need;
	else if (has_digest(queue, common->type))
		need += 4;
	if (common->type == WIRE_C2H_TERM ? common->plen < need || common->plen > 152 :
	    common->type != WIRE_C2H_DATA && common->plen != need)
		ini_end(queue, "PDU type 0x%x of length %u", common->type, common->plen);
	if (common->type == WIRE_C2H_TERM)
		need = common->plen;
	if (need > sizeof(queue->header))
		ini_end(queue, "PDU type 0x%x: data offset %u", common->type, common->pdo);
	return need;
}

static bool header_is_right(struct ini_queue *queue)
{
	const struct wire_common *common = &queue->header.common;
	uint32_t want;

	if (!has_digest(queue, common->type)) {
		if (common->flags & WIRE_HDGST)
			ini_end(queue, "PDU type 0x%x: digest flag without digests", common->type);
		return !queue->ended;
	}
	memcpy(&want, queue->header.bytes + common->hlen, 4);
	if (!(common->flags & WIRE_HDGST) || crc32c(0, common, common->hlen) != want)
		ini_end(queue, "PDU type 0x%x: wrong header digest", common->type);
	return !queue->ended;
}

static void take_header(struct ini_queue *queue)
{
	if (!header_is_right(queue))
		return;
	switch (queue->header.common.type) {
	case WIRE_C2H_DATA:
		begin_data(queue);
		return; /* the header is needed until the data is complete */
	case WIRE_ICRESP:
		take_icresp(queue);
		break;
	case WIRE_RESPONSE:
		take_response(queue);
		break;
	case WIRE_R2T:
		take_r2t(queue);
		break;
	case WIRE_C2H_TERM:
		take_term(queue);
		break;
	}
	queue->header_len = 0;
}

static void advance_data(struct ini_queue *queue, size_t n)
{
	if (queue->ddgst)
		queue->data_crc = crc32c(queue->data_crc, queue->data, n);
	queue->data += n;
	queue->data_left -= (uint32_t)n;
	if (queue->data_left)
		return;
	queue->receive = INI_DIGEST;
	queue->digest_len = 0;
	if (!queue->ddgst)
		end_data(queue);
}

static size_t take(struct ini_queue *queue, void *to, size_t want)
{
	size_t there = queue->in_end - queue->in_begin;
	size_t n = there < want ? there : want;

	memcpy(to, queue->in + queue->in_begin, n);
	queue->in_begin += n;
	return n;
}

/* One step of the receiver on what has been read ahead. */
static void step(struct ini_queue *queue)
{
	uint32_t need, got;

	switch (queue->receive) {
	case INI_HEADER:
		need = header_need(queue);
		if (queue->ended)
			return;
		got = (uint32_t)take(queue, queue->header.bytes + queue->header_len,
				     need - queue->header_len);
		queue->header_len += got;
		if (queue->header_len >= sizeof(queue->header.common) &&
		    queue->header_len == header_need(queue) && !queue->ended)
			take_header(queue);
		return;
	case INI_DATA:
		advance_data(queue, take(queue, queue->data, queue->data_left));
		return;
	case INI_DIGEST:
		queue->digest_len += (uint32_t)take(queue, queue->digest + queue->digest_len,
						    4 - queue->digest_len);
		if (queue->digest_len < 4)
			return;
		memcpy(&got, queue->digest, 4);
		if (got != queue->data_crc)
			ini_end(queue, "wrong data digest for command %u", queue->header.data.cid);
		else
			end_data(queue);
	}
}

/* Reads into the place of the data and, behind it, ahead. False: nothing more now. */
static bool read_some(struct ini_queue *queue)
{
	struct iovec iov[2] = { { queue->data, 0 }, { queue->in, INI_BUFFER } };
	size_t direct = 0;
	ssize_t n;

	if (queue->receive == INI_DATA) {
		iov[0].iov_len = queue->data_left;
		n = readv(queue->fd, iov, 2);
	} else {
		n = recv(queue->fd, queue->in, INI_BUFFER, MSG_DONTWAIT);
	}
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR) {
			queue->closed_by_target = true;
			ini_end(queue, "receive: %s", strerror(errno));
		}
		return false;
	}
	if (n == 0) {
		queue->closed_by_target = queue->receive == INI_HEADER && !queue->header_len;
		ini_end(queue, "end of stream%s with %u commands in flight",
			queue->closed_by_target ? "" : " inside a PDU", queue->in_flight);
		return false;
	}
	queue->received_total += (uint64_t)n;
	if (queue->receive == INI_DATA) {
		direct = (size_t)n < iov[0].iov_len ? (size_t)n : iov[0].iov_len;
		advance_data(queue, direct);
	}
	queue->in_begin = 0;
	queue->in_end = (size_t)n - direct;
	return true;
}

uint32_t ini_received(const struct ini_queue *queue, const struct ini_command *command)
{
	const struct wire_data *pdu = &queue->header.data;
	bool coming = queue->receive != INI_HEADER && &queue->commands[pdu->cid] == command;

	return command->received + (coming ? pdu->len - queue->data_left : 0);
}

void ini_receive(struct ini_queue *queue)
{
	for (int calls = 0; calls < MAX_READ_CALLS && !queue->ended; calls++) {
		if (!read_some(queue))
			return;
		while (queue->in_begin < queue->in_end && !queue->ended)
			step(queue);
		/* the target can go on while the rest is read */
		ini_flush(queue);
	}
}
