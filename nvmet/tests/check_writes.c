/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_writes.c - data of several Writes at once, in the order and in the pieces that a host
 * likes, and what is left of it when the host breaks the rules or goes
 *
 * The host is put together by hand: it holds back what it was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BLOCK 4096u
#define WRITES 4
#define BYTES (128u << 10)
#define PART 20480u    /* of H2CData: no power of two, not all of a Write */
#define OLD 0x11
#define DEPTH 16

static struct ini_controller *bystander;

static void setup(void)
{
	fixture_start();
	bystander = fixture_connect(2, 1, DEPTH);
}

static void teardown(void)
{
	ini_controller_close(bystander, false);
	fixture_stop();
}

/* What byte @at of Write @number is. */
static uint8_t pattern(unsigned number, uint32_t at)
{
	return (uint8_t)(0x80 | (number * 31 + at / 509 + at));
}

/* All that the Writes write has its old content, and what follows too. */
static void fill(void)
{
	uint8_t *data = malloc(BYTES);

	memset(data, OLD, BYTES);
	for (unsigned i = 0; i <= WRITES; i++)
		ck_assert_int_eq(ini_transfer(bystander, 1, nvme_cmd_write, 1, i * BYTES / BLOCK,
					      BYTES / BLOCK, data, BYTES), 0);
	free(data);
}

/* Is it the new content of Write @number, whole, or the old one, whole? Nothing else may be. */
static bool written(unsigned number)
{
	uint8_t *data = malloc(BYTES), *expected = malloc(BYTES);
	bool is_new;

	ck_assert_int_eq(ini_transfer(bystander, 1, nvme_cmd_read, 1, number * BYTES / BLOCK,
				      BYTES / BLOCK, data, BYTES), 0);
	is_new = data[0] != OLD;
	for (uint32_t i = 0; i < BYTES; i++)
		expected[i] = is_new ? pattern(number, i) : OLD;
	ck_assert_mem_eq(data, expected, BYTES);
	free(expected);
	free(data);
	return is_new;
}

/* Writes that were sent, and what the target asked for. */
struct writes {
	struct ini_queue *queue;
	bool hdgst, ddgst;
	struct wire_data r2t[WRITES];
	uint32_t sent[WRITES];
};

/* All of them, before any data: there is an R2T for each, whole, and no two have one tag. */
static void post(struct writes *writes, struct ini_controller *controller)
{
	memset(writes, 0, sizeof(*writes));
	writes->queue = controller->queues[1];
	writes->hdgst = writes->queue->hdgst;
	writes->ddgst = writes->queue->ddgst;
	for (unsigned i = 0; i < WRITES; i++)
		fixture_put_write(writes->queue, (uint16_t)i, i * BYTES / BLOCK, BYTES / BLOCK, BYTES);
	ini_flush(writes->queue);
	for (unsigned i = 0; i < WRITES; i++) {
		struct wire_data *r2t = &writes->r2t[i];
		uint32_t digest;

		fixture_read(writes->queue, r2t, sizeof(*r2t));
		if (writes->hdgst)
			fixture_read(writes->queue, &digest, sizeof(digest));
		ck_assert_uint_eq(r2t->common.type, WIRE_R2T);
		ck_assert_uint_eq(r2t->cid, i);
		ck_assert_uint_eq(r2t->offset, 0);
		ck_assert_uint_eq(r2t->len, BYTES);
		for (unsigned j = 0; j < i; j++)
			ck_assert_uint_ne(r2t->ttag, writes->r2t[j].ttag);
	}
}

/* The next part of a Write's data; true with the last. */
static bool put_part(struct writes *writes, unsigned number, uint32_t len)
{
	const struct wire_data *r2t = &writes->r2t[number];
	uint32_t at = writes->sent[number];
	uint8_t data[PART];
	struct wire_data pdu = { .common = { .type = WIRE_H2C_DATA, .hlen = 24, .pdo = 24 },
				 .cid = r2t->cid, .ttag = r2t->ttag, .offset = at };

	if (len > BYTES - at)
		len = BYTES - at;
	for (uint32_t i = 0; i < len; i++)
		data[i] = pattern(number, at + i);
	writes->sent[number] += len;
	pdu.len = len;
	if (at + len == BYTES)
		pdu.common.flags |= WIRE_LAST;
	if (writes->hdgst) {
		pdu.common.flags |= WIRE_HDGST;
		pdu.common.pdo += 4;
	}
	if (writes->ddgst)
		pdu.common.flags |= WIRE_DDGST;
	pdu.common.plen = pdu.common.pdo + len + (writes->ddgst ? 4 : 0);
	fixture_put(writes->queue, &pdu, sizeof(pdu), writes->hdgst);
	fixture_put(writes->queue, data, len, writes->ddgst);
	return writes->sent[number] == BYTES;
}

/* Sends all that was put, so many bytes at a time, each in a segment of its own. */
static void send_in_steps(struct ini_queue *queue, size_t step)
{
	uint64_t end = ini_now_ns() + INI_WAIT_MS * 1000000ull;

	while (queue->out_begin < queue->out_end) {
		size_t left = queue->out_end - queue->out_begin;
		ssize_t n = send(queue->fd, queue->out + queue->out_begin, left < step ? left : step,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			queue->out_begin += (size_t)n;
		ck_assert(ini_now_ns() < end);
	}
}

static struct ini_controller *connect_with(bool hdgst, bool ddgst)
{
	struct ini_host host = target_host(&fixture_target, 1, 1, DEPTH);

	host.options.hdgst = hdgst;
	host.options.ddgst = ddgst;
	return fixture_connect_host(&host);
}

static void take_answers(struct writes *writes, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct wire_response answer;
		uint32_t digest;

		fixture_read(writes->queue, &answer, sizeof(answer));
		if (writes->hdgst)
			fixture_read(writes->queue, &digest, sizeof(digest));
		ck_assert_uint_eq(answer.common.type, WIRE_RESPONSE);
		ck_assert_uint_eq(ini_status(&answer.cqe), 0);
	}
}

/* The parts of all Writes go round, in both orders, cut anywhere, with each choice of digests. */
START_TEST(data_of_several_writes_is_interleaved)
{
	static const size_t steps[] = { 1448, 4096 + 24, 65536, SIZE_MAX };
	struct ini_controller *controller = connect_with(_i & 1, _i & 2);
	struct writes writes;

	for (unsigned s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		unsigned done = 0;

		fill();
		post(&writes, controller);
		while (done < WRITES)
			for (unsigned i = 0; i < WRITES; i++) {
				unsigned number = s % 2 ? WRITES - 1 - i : i;

				if (writes.sent[number] < BYTES)
					done += put_part(&writes, number, PART - 4 * number);
			}
		send_in_steps(writes.queue, steps[s]);
		take_answers(&writes, WRITES);
		for (unsigned i = 0; i < WRITES; i++)
			ck_assert(written(i));
		ck_assert(!written(WRITES));
	}
	ini_controller_close(controller, false);
}
END_TEST

/** What the host does in the midst of its data, and the fatal status that it gets. */
enum wrong {
	AGAIN,     /**< data that it has sent already */
	GAP,       /**< data that is not the next */
	TWO_TAGS,  /**< the tag of one Write, the identifier of another */
	TAG_OVER,  /**< the tag of a Write that is complete */
	BEYOND,    /**< more than it was asked for */
	WRONGS,
};

static void put_wrong(struct writes *writes, enum wrong wrong)
{
	uint32_t sent = writes->sent[0];

	switch (wrong) {
	case AGAIN:
		writes->sent[0] -= PART;
		break;
	case GAP:
		writes->sent[0] += 4096;
		break;
	case TWO_TAGS:
		writes->r2t[0].ttag = writes->r2t[1].ttag;
		break;
	case TAG_OVER:
		writes->r2t[0].ttag = writes->r2t[3].ttag;
		break;
	default:
		writes->sent[0] = BYTES - PART;
		writes->r2t[0].len = 0;
		break;
	}
	put_part(writes, 0, PART);
	writes->sent[0] = sent;
}

/* The connection ends; one Write was complete, of the others nothing is there. */
START_TEST(wrong_data_between_others_changes_nothing)
{
	struct ini_controller *controller = connect_with(false, false);
	struct writes writes;

	fill();
	post(&writes, controller);
	while (!put_part(&writes, 3, PART))
		;
	put_part(&writes, 0, PART);
	put_part(&writes, 1, PART);
	send_in_steps(writes.queue, SIZE_MAX);
	take_answers(&writes, 1);
	put_wrong(&writes, (enum wrong)_i);
	send_in_steps(writes.queue, SIZE_MAX);
	ck_assert(fixture_wait_end(writes.queue, INI_WAIT_MS));
	ck_assert_uint_eq(writes.queue->fatal,
			  _i == TWO_TAGS || _i == TAG_OVER ? WIRE_FATAL_FIELD : WIRE_FATAL_RANGE);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(written(i), i == 3);
	ini_controller_close(controller, false);
}
END_TEST

/* The host goes with one Write complete, one in the midst of a PDU, one between two, and one of
 * which there is no data; by an end of stream or a reset. */
START_TEST(host_that_goes_between_its_data_leaves_whole_writes_only)
{
	static const uint32_t cuts[] = { 0, 1, 23, 24, 25, 24 + 4096, 24 + 10000 };
	struct ini_controller *controller = connect_with(false, _i % 2);
	const uint32_t cut = cuts[_i / 2];
	struct writes writes;
	size_t end;

	fill();
	post(&writes, controller);
	while (!put_part(&writes, 3, PART))
		;
	send_in_steps(writes.queue, SIZE_MAX);
	take_answers(&writes, 1);
	put_part(&writes, 1, PART);
	end = writes.queue->out_end;
	put_part(&writes, 0, PART);
	writes.queue->out_end = end + cut;
	send_in_steps(writes.queue, SIZE_MAX);
	ini_close(writes.queue, _i % 2);
	controller->queues[1] = NULL;
	controller->count = 1;
	ck_assert(target_log_find(&fixture_target, 0, "disconnect", "qid=1", INI_WAIT_MS, NULL));
	ini_controller_close(controller, false);
	for (unsigned i = 0; i < WRITES; i++)
		ck_assert_int_eq(written(i), i == 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme writes");
	TCase *tcase = tcase_create("writes");

	target_need();
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, data_of_several_writes_is_interleaved, 0, 4);
	tcase_add_loop_test(tcase, wrong_data_between_others_changes_nothing, 0, WRONGS);
	tcase_add_loop_test(tcase, host_that_goes_between_its_data_leaves_whole_writes_only, 0, 14);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}
