/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_sendq.c - the queue of sends against a list of single bytes
 *
 * The model is a list with one entry for each byte that is queued, and for each
 * send how many of its bytes and how many batches are left. The socket is a stub
 * that takes as much as a generator says, by reference or as a copy; each byte
 * that it is handed must be the model's next one, at the caller's own address.
 * A request is released when the model has nothing of it left, not before.
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"
#include "support/stub.h"

#define REQUESTS 8
#define SENDS 4096
#define BATCHES 4096
#define TOUCHED 64
#define UNSENT_MOST 40 /* sends queued at a time; below TOUCHED */
#define WRITER REQUESTS

struct model_byte {
	const char *at; /* NULL: a copy, anywhere */
	char value;
	unsigned send;
};

struct model_send {
	unsigned owner, left, batches;
};

struct model_batch {
	uint32_t id;
	unsigned count, sends[TOUCHED];
};

struct model_request {
	struct heard heard;
	bool begun, finished;
	unsigned sends, accepted; /* not gone; bytes ever taken */
	int status;
};

static struct counting memory;
static struct zcreq_context *context;
static struct stub stub;
static struct zcreq_conn *conn;
static char arena[8192];
static struct model_byte bytes[1 << 18];
static unsigned bytes_head, bytes_tail, sends_made, batches_out;
static struct model_send sends[SENDS];
static struct model_batch batches[BATCHES];
static struct model_request requests[REQUESTS];
static uint64_t seed;

static unsigned pick(unsigned n)
{
	return (suite_random(&seed) >> 33) % n;
}

/* ---- the model ------------------------------------------------------------ */

static void add_bytes(unsigned send, const char *at, const char *value, size_t len)
{
	ck_assert_uint_le(bytes_tail + len, COUNT(bytes));
	for (size_t i = 0; i < len; i++)
		bytes[bytes_tail++] = (struct model_byte){
			.at = at ? at + i : NULL, .value = value[i], .send = send,
		};
}

static void gone_if_over(unsigned send)
{
	const struct model_send *s = &sends[send];

	if (s->owner != WRITER && !s->left && !s->batches)
		requests[s->owner].sends--;
}

static void touch(struct model_batch *batch, unsigned send)
{
	if (batch->count && batch->sends[batch->count - 1] == send)
		return;
	CLAIM(batch->count < TOUCHED);
	batch->sends[batch->count++] = send;
	sends[send].batches++;
}

/* One byte is taken from the head, at this address. */
static unsigned take_byte(const char *at)
{
	const struct model_byte *byte = &bytes[bytes_head++];

	CLAIM(bytes_head <= bytes_tail);
	CLAIM(*at == byte->value);
	CLAIM(!byte->at || byte->at == at);
	sends[byte->send].left--;
	if (sends[byte->send].owner != WRITER)
		requests[sends[byte->send].owner].accepted++;
	return byte->send;
}

static void took(struct stub *s, const struct msghdr *message, uint64_t left, bool zerocopy)
{
	struct model_batch *batch = &batches[batches_out];

	CLAIM(batches_out < BATCHES);
	*batch = (struct model_batch){.id = s->next_id};
	CLAIM(message->msg_iov[0].iov_len > 0 && message->msg_iovlen <= IOV_MAX);
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		const struct iovec *iov = &message->msg_iov[i];

		for (size_t k = 0; k < iov->iov_len && left; k++, left--) {
			unsigned send = take_byte((const char *)iov->iov_base + k);

			if (zerocopy)
				touch(batch, send);
			gone_if_over(send);
		}
	}
	batches_out += zerocopy;
	if (s->most_bytes)
		s->most_bytes = 1 + pick(60);
}

/* All that is unsent of one request, or of everybody, leaves the list. */
static void drop_bytes(unsigned owner, bool all)
{
	unsigned to = bytes_head;

	for (unsigned from = bytes_head; from < bytes_tail; from++) {
		struct model_send *s = &sends[bytes[from].send];

		if (!all && s->owner != owner) {
			bytes[to++] = bytes[from];
			continue;
		}
		s->left--;
		gone_if_over(bytes[from].send);
	}
	bytes_tail = to;
}

/* What must have been heard by now. */
static void compare(void)
{
	zcreq_turn(context, 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct model_request *r = &requests[i];
		bool over = r->begun && r->finished && !r->sends;

		CLAIM(r->heard.released == over);
		if (!over)
			continue;
		CLAIM(r->heard.status == r->status);
		*r = (struct model_request){0};
	}
}

/* ---- what happens --------------------------------------------------------- */

static bool is_full(void)
{
	unsigned first = bytes_head == bytes_tail ? sends_made : bytes[bytes_head].send;

	return sends_made - first >= UNSENT_MOST || sends_made == SENDS;
}

static void begin(struct model_request *r)
{
	if (!r->begun)
		heard_begin(conn, &r->heard);
	r->begun = true;
}

/* Queues it here and in the model; the array is spoilt, as the call has copied it. */
static void send_iovs(unsigned owner, struct iovec *iov, unsigned count)
{
	struct model_request *r = &requests[owner];
	unsigned total = 0;

	for (unsigned i = 0; i < count; i++)
		total += iov[i].iov_len;
	begin(r);
	ck_assert_int_eq(zcreq_add(context, r->heard.id, iov, count, 0), total ? 0 : -EINVAL);
	if (!total)
		return;
	sends[sends_made] = (struct model_send){.owner = owner, .left = total};
	for (unsigned i = 0; i < count; i++)
		add_bytes(sends_made, iov[i].iov_base, iov[i].iov_base, iov[i].iov_len);
	memset(iov, 0xee, count * sizeof(*iov));
	r->sends++;
	sends_made++;
}

static void step_send(unsigned owner)
{
	struct iovec iov[6];
	unsigned count = 1 + pick(COUNT(iov));

	if (is_full() || requests[owner].finished)
		return;
	for (unsigned i = 0; i < count; i++) {
		iov[i].iov_base = arena + pick(sizeof(arena) - 64);
		iov[i].iov_len = pick(4) ? pick(20) : 0;
	}
	send_iovs(owner, iov, count);
}

static void step_write(void)
{
	static char text[5000];
	unsigned len = 1 + pick(pick(20) ? 50 : sizeof(text));

	if (is_full())
		return;
	for (unsigned i = 0; i < len; i++)
		text[i] = pick(256);
	ck_assert_int_eq(zcreq_write(conn, text, len), 0);
	sends[sends_made] = (struct model_send){.owner = WRITER, .left = len};
	add_bytes(sends_made++, NULL, text, len);
	memset(text, 0xee, len);
}

static void step_turn(void)
{
	stub.room_bytes = pick(3) ? pick(100) : pick(3000);
	stub.most_bytes = 1 + pick(60);
	stub.zerocopy_error = pick(3) ? 0 : -ENOBUFS;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	zcreq_turn(context, 0);
	stub.room_bytes = 0;
	stub.zerocopy_error = 0;
}

static void step_prove(void)
{
	struct model_batch batch;
	unsigned n;

	if (!batches_out)
		return;
	n = pick(batches_out);
	batch = batches[n];
	batches[n] = batches[--batches_out];
	for (unsigned i = 0; i < batch.count; i++) {
		sends[batch.sends[i]].batches--;
		gone_if_over(batch.sends[i]);
	}
	stub_notify(&stub, batch.id, batch.id, false);
	ck_assert_int_eq(zcreq_process(conn, POLLERR), 0);
	zcreq_turn(context, 0);
}

static void step_finish(struct model_request *r)
{
	if (!r->begun || r->finished)
		return;
	ck_assert_int_eq(zcreq_finish(context, r->heard.id, 0), 0);
	r->finished = true;
}

static void step_withdraw(unsigned owner)
{
	struct model_request *r = &requests[owner];
	int ret;

	if (!r->begun || r->status || r->heard.settled)
		return;
	ret = zcreq_abort(context, r->heard.id, -ENODEV);
	ck_assert_int_eq(ret, r->accepted ? -EBUSY : 0);
	if (ret)
		return;
	r->status = -ENODEV;
	drop_bytes(owner, false);
	step_finish(r);
}

static void step(void)
{
	unsigned owner = pick(REQUESTS);

	switch (pick(16)) {
	case 0: case 1: case 2: case 3: case 4:
		step_send(owner);
		break;
	case 5: case 6:
		step_write();
		break;
	case 7: case 8: case 9:
		step_turn();
		break;
	case 10: case 11: case 12:
		step_prove();
		break;
	case 13: case 14:
		step_finish(&requests[owner]);
		break;
	default:
		step_withdraw(owner);
	}
	compare();
}

/* ---- tests ---------------------------------------------------------------- */

static void setup(void)
{
	struct zcreq_stream_options options = stub_options(&stub);

	context = counting_context(&memory, 0);
	stub_init(&stub);
	stub.took = took;
	stub.room_bytes = 0;
	options.first_id = stub.next_id = -100u;
	options.flags = ZCREQ_STREAM_FIRST_ID;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	for (unsigned i = 0; i < sizeof(arena); i++)
		arena[i] = i * 7 + i / 251;
}

/* Everything is over but the proofs; each is the only thing that releases. */
static void prove_the_rest(void)
{
	while (batches_out) {
		step_prove();
		compare();
	}
	for (unsigned i = 0; i < REQUESTS; i++)
		ck_assert(!requests[i].begun);
	ck_assert_uint_eq(stats_of(context).requests_now, 0);
	ck_assert_uint_eq(stats_of(context).begun, stats_of(context).released);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.closes, 1);
	counting_end(&memory, context);
}

static void abort_all(void)
{
	stub.keeps = true;
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct model_request *r = &requests[i];

		if (r->begun && !(r->finished && !r->sends) && !r->status)
			r->status = -ECONNRESET;
	}
	drop_bytes(0, true);
}

START_TEST(i2_random_work_hands_out_every_byte_once_and_releases_with_proof)
{
	seed = _i + 1;
	for (unsigned i = 0; i < 1500; i++)
		step();
	for (unsigned i = 0; i < REQUESTS; i++)
		step_finish(&requests[i]);
	while (bytes_head != bytes_tail) {
		step_turn();
		compare();
	}
	ck_assert_int_eq(zcreq_conn_drain(conn, 0), 0);
	prove_the_rest();
}
END_TEST

START_TEST(i2_abort_in_the_middle_of_random_work_waits_for_every_proof)
{
	seed = _i + 1;
	for (unsigned i = 0; i < 50 + (unsigned)_i * 7; i++)
		step();
	abort_all();
	for (unsigned i = 0; i < REQUESTS; i++)
		step_finish(&requests[i]);
	compare();
	ck_assert_uint_eq(bytes_head, bytes_tail);
	prove_the_rest();
}
END_TEST

/* Three requests, a write among them, iovecs of all small sizes and of none. */
static unsigned queue_parts(void)
{
	static const unsigned lens[][4] = {{3, 0, 1, 2}, {0, 0, 5, 0}, {1, 1, 1, 4}};
	unsigned total = 0, at = 0;

	for (unsigned r = 0; r < COUNT(lens); r++) {
		struct iovec iov[4];

		for (unsigned i = 0; i < 4; i++) {
			iov[i] = (struct iovec){arena + at, lens[r][i]};
			at += 50;
			total += lens[r][i];
		}
		send_iovs(r, iov, 4);
		if (r == 0) {
			ck_assert_int_eq(zcreq_write(conn, "abcd", 4), 0);
			sends[sends_made] = (struct model_send){.owner = WRITER, .left = 4};
			add_bytes(sends_made++, NULL, "abcd", 4);
			total += 4;
		}
		step_finish(&requests[r]);
	}
	return total;
}

/* The next call takes this much and no more. */
static void take_part(unsigned part, bool zerocopy)
{
	stub.room_bytes = part;
	stub.zerocopy_error = zerocopy ? 0 : -ENOBUFS;
	ck_assert_int_eq(zcreq_process(conn, POLLOUT), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.room_bytes, 0);
	stub.zerocopy_error = 0;
	compare();
}

#define PARTS_TOTAL 22

/* _i is the mix of by reference and copied; the two cuts are everywhere. */
START_TEST(field_spdk_3664_partial_sends_at_every_byte_boundary)
{
	for (unsigned a = 0; a <= PARTS_TOTAL; a++) {
		for (unsigned b = a; b <= PARTS_TOTAL; b++) {
			ck_assert_uint_eq(queue_parts(), PARTS_TOTAL);
			if (a)
				take_part(a, _i & 1);
			if (b - a)
				take_part(b - a, _i & 2);
			if (PARTS_TOTAL - b)
				take_part(PARTS_TOTAL - b, _i & 4);
			while (batches_out) {
				step_prove();
				compare();
			}
			for (unsigned r = 0; r < 3; r++)
				ck_assert(!requests[r].begun);
		}
		sends_made = 0;
	}
	zcreq_conn_abort(conn, -EPIPE);
	prove_the_rest();
}
END_TEST

START_TEST(field_spdk_3610_a_copied_last_part_does_not_release_the_first)
{
	struct iovec iov = {arena, 100};

	send_iovs(0, &iov, 1);
	take_part(90, true);
	step_finish(&requests[0]);
	take_part(10, false);
	ck_assert_uint_eq(requests[0].sends, 1);
	ck_assert_uint_eq(requests[0].heard.released, 0);
	step_prove();
	compare();
	zcreq_conn_abort(conn, -EPIPE);
	prove_the_rest();
}
END_TEST

/* Runs of the largest sends: both rings grow, wrap, and are cut at IOV_MAX. */
START_TEST(the_largest_sends_wrap_and_grow_the_rings)
{
	static struct iovec iov[ZCREQ_IOV_MAX];

	seed = 1 + _i;
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned r = 0; r < REQUESTS / 2; r++) {
			for (unsigned i = 0; i < COUNT(iov); i++)
				iov[i] = (struct iovec){arena + i, 1 + i % 3};
			send_iovs(r, iov, COUNT(iov) - pick(20));
			step_finish(&requests[r]);
			take_part(700, pick(2));
		}
		while (bytes_head != bytes_tail)
			take_part(bytes_tail - bytes_head < 999 ? bytes_tail - bytes_head : 999,
			       pick(2));
		while (batches_out)
			step_prove();
		compare();
	}
	zcreq_conn_abort(conn, -EPIPE);
	prove_the_rest();
}
END_TEST

static uint64_t next_byte; /* of the stream: each is its place in it */

static void expect_in_order(struct stub *s, const struct msghdr *message, uint64_t bytes_taken,
			    bool zerocopy)
{
	(void)s;
	(void)zerocopy;
	for (size_t i = 0; i < message->msg_iovlen && bytes_taken; i++) {
		const char *at = message->msg_iov[i].iov_base;

		CLAIM(at == arena + next_byte % sizeof(arena));
		next_byte += message->msg_iov[i].iov_len;
		bytes_taken -= message->msg_iov[i].iov_len;
	}
}

static void send_in_order(zcreq_id id, unsigned from, unsigned count)
{
	for (unsigned n = from; n < from + count; n++) {
		const struct iovec iov = {arena + n % sizeof(arena), 1};

		CLAIM(zcreq_add(context, id, &iov, 1, 0) == 0);
	}
}

/* Full, whatever it has done before: the sends that are there stay as they are. */
START_TEST(a_ring_that_has_turned_a_little_grows_when_it_is_full)
{
	zcreq_id id;

	stub.took = expect_in_order;
	stub.room_bytes = UINT64_MAX;
	stub.unproven = stub.next_id;
	begin(&requests[0]);
	id = requests[0].heard.id;
	send_in_order(id, 0, 3);
	zcreq_turn(context, 0);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	stub.room_bytes = 0;
	send_in_order(id, 3, 300);
	stub.room_bytes = UINT64_MAX;
	zcreq_process(conn, POLLOUT);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(next_byte, 303);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	stub_prove_all(&stub);
	zcreq_process(conn, POLLERR);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(requests[0].heard.released, 1);
}
END_TEST

static unsigned most_iovs; /* of one call */

static void count_iovs(struct stub *s, const struct msghdr *message, uint64_t bytes_taken,
		       bool zerocopy)
{
	(void)s;
	(void)bytes_taken;
	(void)zerocopy;
	CLAIM(message->msg_iovlen <= IOV_MAX);
	if (message->msg_iovlen > most_iovs)
		most_iovs = message->msg_iovlen;
}

/* More iovecs in one run of the ring than a call takes. */
START_TEST(a_call_takes_as_many_iovecs_as_it_may_and_no_more)
{
	static struct iovec iov[ZCREQ_IOV_MAX];
	zcreq_id id;

	stub.took = count_iovs;
	stub.room_bytes = UINT64_MAX;
	begin(&requests[0]);
	id = requests[0].heard.id;
	for (unsigned i = 0; i < COUNT(iov); i++)
		iov[i] = (struct iovec){arena + i, 1};
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(zcreq_add(context, id, iov, COUNT(iov) - (i == 0), 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stub.zerocopy_bytes, 3 * COUNT(iov) - 1);
	ck_assert_uint_eq(most_iovs, IOV_MAX);
	zcreq_conn_abort(conn, -EPIPE);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	zcreq_turn(context, 0);
}
END_TEST

static uint64_t send_calls(void)
{
	struct zcreq_stats stats;

	ck_assert_int_eq(zcreq_conn_stats(conn, &stats, sizeof(stats)), 0);
	return stats.send_calls;
}

/* The ring holds a round, but a round does not divide it: where the last one ended must
 * not cut the next one in two. */
START_TEST(a_round_that_the_ring_holds_is_one_call)
{
	struct iovec iov[3] = {{arena, 1}, {arena + 1, 2}, {arena + 3, 3}};
	zcreq_id id;

	stub.took = count_iovs;
	stub.room_bytes = UINT64_MAX;
	begin(&requests[0]);
	id = requests[0].heard.id;
	for (unsigned round = 0; round < 20; round++) {
		uint64_t calls = send_calls();

		for (unsigned i = 0; i < 5; i++)
			ck_assert_int_eq(zcreq_add(context, id, iov, COUNT(iov), 0), 0);
		zcreq_turn(context, 0);
		ck_assert_uint_eq(send_calls() - calls, 1);
	}
	zcreq_conn_abort(conn, -EPIPE);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	zcreq_turn(context, 0);
}
END_TEST

START_TEST(i7_a_steady_queue_allocates_nothing)
{
	unsigned calls = 0;

	seed = 1;
	for (unsigned round = 0; round < 200; round++) {
		if (round == 20)
			calls = memory.calls;
		queue_parts();
		take_part(PARTS_TOTAL, true);
		/* a run ends where the ring does, so there may be two */
		while (batches_out)
			step_prove();
		compare();
	}
	ck_assert_uint_eq(memory.calls, calls);
	zcreq_conn_abort(conn, -EPIPE);
	prove_the_rest();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sendq");
	TCase *random = tcase_create("random"), *edges = tcase_create("edges");

	tcase_add_checked_fixture(random, setup, NULL);
	tcase_set_timeout(random, 60);
	tcase_add_loop_test(random,
			    i2_random_work_hands_out_every_byte_once_and_releases_with_proof, 0,
			    40);
	tcase_add_loop_test(random, i2_abort_in_the_middle_of_random_work_waits_for_every_proof,
			    0, 60);
	tcase_add_checked_fixture(edges, setup, NULL);
	tcase_set_timeout(edges, 60);
	tcase_add_loop_test(edges, field_spdk_3664_partial_sends_at_every_byte_boundary, 0, 8);
	tcase_add_test(edges, field_spdk_3610_a_copied_last_part_does_not_release_the_first);
	tcase_add_loop_test(edges, the_largest_sends_wrap_and_grow_the_rings, 0, 4);
	tcase_add_test(edges, a_ring_that_has_turned_a_little_grows_when_it_is_full);
	tcase_add_test(edges, a_call_takes_as_many_iovecs_as_it_may_and_no_more);
	tcase_add_test(edges, a_round_that_the_ring_holds_is_one_call);
	tcase_add_test(edges, i7_a_steady_queue_allocates_nothing);
	suite_add_tcase(s, random);
	suite_add_tcase(s, edges);
	return suite_run(s);
}
