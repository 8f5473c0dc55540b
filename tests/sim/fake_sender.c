/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_sender.c - see fake_sender.h
 *
 * A batch is on one of the sender's lists from submit() to the last word on it. It
 * leaves them before that word is said, because the library may come back from inside.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/queue.h"
#include "sim/fake_internal.h"
#include "sim/fake_sender.h"

/* Proofs that are told together. */
#define TOGETHER 8

/* Of so many one is picked, where they are told in any order. */
#define ANY_OF 16

enum batch_state {
	BATCH_NEW = 1,     /* submit() has not come to it yet */
	BATCH_WAITING,     /* for room in the socket */
	BATCH_READY,       /* its result can be told */
	BATCH_HELD,        /* told, and more is to come */
	BATCH_PROVEN,      /* and it is there */
};

struct fake_batch {
	TAILQ_ENTRY(fake_batch) in_list;
	enum batch_state state;
	uint32_t id;
	int64_t result;
	bool by_reference;
	bool more;
	bool proven;                /* as soon as its result is told */
	bool copied;
	struct fake_record *record; /* that it proves */
	int iovcnt;
	struct iovec iov[ZCREQ_SUBMISSION_IOVS];
	uintptr_t from, to;         /* around all of them */
};

TAILQ_HEAD(fake_batches, fake_batch);

struct fake_sender {
	struct fake_socket *sock;
	struct zcreq_conn *conn;    /* NULL: has not submitted yet, or is closed */
	struct fake_sender_knobs knobs;
	struct sim_random random;
	struct zcreq_sender_ops ops;
	struct fake_batches held;   /* in the order of submission */
	struct fake_batches proven; /* in that of their proofs */
	struct fake_batch *current; /* whose result was not told; NULL: none */
	unsigned batches;           /* on both */
	uint32_t next_id;
	bool submitted;             /* ever */
	bool cancelled;
	uint64_t sends;             /* calls of sendmsg that were ours */
};

static bool one_in(struct fake_sender *sender, unsigned of)
{
	return of && !sim_random_below(&sender->random, of);
}

static void wrong(const struct fake_sender *sender, const char *what)
{
	fake_violation(sender->sock->kernel, "fd %d: sender: %s", sender->sock->fd, what);
}

static void batch_free(struct fake_batch *batch)
{
	if (batch->record)
		fake_record_free(batch->record);
	free(batch);
}

static struct fake_batches *list_of(struct fake_sender *sender, const struct fake_batch *batch)
{
	return batch->state == BATCH_PROVEN ? &sender->proven : &sender->held;
}

static void forget(struct fake_sender *sender, struct fake_batch *batch)
{
	TAILQ_REMOVE(list_of(sender, batch), batch, in_list);
	sender->batches--;
	if (batch->record)
		sender->sock->told_bytes -= batch->record->bytes;
	batch_free(batch);
}

/* The result is told: a proof that was there before can be told next. */
static void hold(struct fake_sender *sender, struct fake_batch *batch)
{
	batch->state = BATCH_HELD;
	if (!batch->proven)
		return;
	TAILQ_REMOVE(&sender->held, batch, in_list);
	batch->state = BATCH_PROVEN;
	TAILQ_INSERT_TAIL(&sender->proven, batch, in_list);
}

struct fake_batch *fake_sender_current(const struct fake_sender *sender)
{
	return sender->current;
}

/* The socket lets go of what a batch has taken. */
void fake_sender_notify(struct fake_socket *sock, struct fake_record *record, bool copied)
{
	struct fake_batch *batch = record->batch;

	batch->proven = true;
	batch->copied = copied;
	batch->record = record;
	sock->told_bytes += record->bytes;
	if (batch->state == BATCH_HELD)
		hold(sock->sender, batch);
}

static bool is_full(const struct fake_sender *sender)
{
	return sender->knobs.batches_most && sender->batches >= sender->knobs.batches_most;
}

static void set_result(struct fake_sender *sender, struct fake_batch *batch, int64_t result)
{
	struct fake_socket *sock = sender->sock;

	/* ids go on also where nothing was taken */
	batch->more = sock->next_id != batch->id;
	sock->next_id = batch->id + 1;
	if (result <= 0 && batch->by_reference && !is_full(sender) &&
	    one_in(sender, sender->knobs.error_of))
		batch->more = batch->proven = true;
	batch->result = result;
	batch->state = BATCH_READY;
}

/* The connection is aborted. */
static bool over(const struct fake_sender *sender)
{
	return sender->cancelled || sender->sock->disconnects;
}

/* Hands a batch to the socket, if that is still one. */
static void attempt(struct fake_sender *sender, struct fake_batch *batch)
{
	const struct msghdr header = { .msg_iov = batch->iov,
				       .msg_iovlen = (size_t)batch->iovcnt };
	struct fake_socket *sock = sender->sock;
	ssize_t ret = sender->cancelled ? -ECANCELED : -EPIPE;

	sock->next_id = batch->id;
	if (!over(sender) && batch->by_reference && is_full(sender)) {
		ret = -ENOBUFS;
	} else if (!over(sender)) {
		sender->sends++;
		ret = fake_socket_ops.sendmsg(sock->fd, &header,
					      MSG_DONTWAIT | MSG_NOSIGNAL |
					      (batch->by_reference ? MSG_ZEROCOPY : 0), sock);
	}
	batch->state = BATCH_WAITING;
	if (ret != -EAGAIN || !sender->knobs.waits || sock->dead)
		set_result(sender, batch, ret);
}

/* What waits for room is tried again. */
static void step(struct fake_sender *sender)
{
	if (sender->current && sender->current->state == BATCH_WAITING && !sender->knobs.mute)
		attempt(sender, sender->current);
}

/* The result of the batch under way, if it is there. */
static bool tell_result(struct fake_sender *sender)
{
	struct fake_batch *batch = sender->current;
	int64_t result;
	uint32_t id;
	bool more;

	if (!batch || batch->state != BATCH_READY || sender->knobs.mute)
		return false;
	sender->sock->messages_read++;
	sender->sock->kernel->work++;
	sender->current = NULL;
	result = batch->result;
	more = batch->more;
	id = batch->id;
	if (more)
		hold(sender, batch);
	else
		forget(sender, batch);
	if (zcreq_sender_result(sender->conn, id, result, more))
		wrong(sender, "the result was not taken");
	return true;
}

/* The next notification to be told: the oldest, or any. */
static struct fake_batch *next_proven(struct fake_sender *sender)
{
	struct fake_batch *batch = TAILQ_FIRST(&sender->proven);
	uint64_t skip = sender->knobs.shuffles ? sim_random_below(&sender->random, ANY_OF) : 0;

	for (; skip && batch && TAILQ_NEXT(batch, in_list); skip--)
		batch = TAILQ_NEXT(batch, in_list);
	return batch;
}

/* Some that are there, and none that is not, are to be believed. */
static bool tell_proofs(struct fake_sender *sender)
{
	struct zcreq_proof proofs[TOGETHER + 3];
	int count = 0, real = 0;
	struct fake_batch *batch;

	if (sender->knobs.mute)
		return false;
	while (real < TOGETHER && (batch = next_proven(sender))) {
		proofs[count].id = batch->id;
		proofs[count++].copied = batch->copied;
		real++;
		forget(sender, batch);
	}
	if (!real)
		return false;
	if (sender->sock->knobs.post_twice) {
		proofs[count] = proofs[count - 1];
		count++;
	}
	if (sender->knobs.lies) {
		proofs[count++] = (struct zcreq_proof){ .id = sender->next_id };
		/* of the one under way there is no proof yet */
		if (sender->current)
			proofs[count++] = (struct zcreq_proof){ .id = sender->current->id };
	}
	sender->sock->messages_read++;
	sender->sock->kernel->work++;
	if (zcreq_sender_proof(sender->conn, proofs, count) != real)
		wrong(sender, "it does not believe what is true, or more");
	return true;
}

bool fake_sender_results(struct fake_sender *sender)
{
	bool told = false;

	for (;;) {
		step(sender);
		if (!tell_result(sender))
			return told;
		told = true;
	}
}

bool fake_sender_process(struct fake_sender *sender)
{
	bool told = false;

	while (fake_sender_results(sender) || tell_proofs(sender))
		told = true;
	return told;
}

static void check_submission(struct fake_sender *sender, struct zcreq_conn *conn,
			     const struct zcreq_submission *submission)
{
	uint64_t bytes = 0;
	int i;

	if (sender->conn && sender->conn != conn)
		wrong(sender, "another's connection");
	if (sender->current)
		wrong(sender, "two batches under way");
	if (sender->cancelled || sender->sock->disconnects)
		wrong(sender, "a submission after the abort");
	if (sender->submitted && submission->id != sender->next_id)
		wrong(sender, "ids do not count up");
	if (submission->iovcnt < 1 || submission->iovcnt > ZCREQ_SUBMISSION_IOVS)
		wrong(sender, "too many members, or none");
	for (i = 0; i < submission->iovcnt; i++)
		bytes += submission->iov[i].iov_len;
	if (!bytes || bytes != submission->bytes)
		wrong(sender, "the bytes are not those of the members");
}

/* Around all members: most batches are passed over by it. */
static void set_bounds(struct fake_batch *batch)
{
	int i;

	batch->from = UINTPTR_MAX;
	batch->to = 0;
	for (i = 0; i < batch->iovcnt; i++) {
		uintptr_t from = (uintptr_t)batch->iov[i].iov_base;
		uintptr_t to = from + batch->iov[i].iov_len;

		batch->from = from < batch->from ? from : batch->from;
		batch->to = to > batch->to ? to : batch->to;
	}
}

static struct fake_batch *batch_new(const struct zcreq_submission *submission)
{
	struct fake_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		abort();
	batch->id = submission->id;
	batch->state = BATCH_NEW;
	batch->by_reference = submission->by_reference;
	batch->iovcnt = submission->iovcnt;
	memcpy(batch->iov, submission->iov, (size_t)submission->iovcnt * sizeof(*batch->iov));
	set_bounds(batch);
	return batch;
}

static int on_submit(struct zcreq_conn *conn, const struct zcreq_submission *submission, void *arg)
{
	struct fake_sender *sender = arg;
	struct fake_batch *batch = batch_new(submission);
	int64_t result;

	check_submission(sender, conn, submission);
	sender->conn = conn;
	sender->submitted = true;
	sender->next_id = submission->id + 1;
	TAILQ_INSERT_TAIL(&sender->held, batch, in_list);
	sender->batches++;
	sender->current = batch;
	/* the words on others come at any time, also now */
	if (one_in(sender, sender->knobs.inside_of))
		tell_proofs(sender);
	if (sender->knobs.puts_off && !over(sender))
		batch->state = BATCH_WAITING;
	else
		attempt(sender, batch);
	if (batch->state != BATCH_READY || sender->knobs.mute)
		return 0;
	/* an abort from inside has asked already */
	if (!over(sender) && !one_in(sender, sender->knobs.inside_of))
		return 0;
	result = batch->result;
	if (result < 0 && !batch->more) {
		sender->current = NULL;
		forget(sender, batch);
		return (int)result;
	}
	tell_result(sender);
	if (over(sender))
		tell_proofs(sender);
	return 0;
}

static void on_cancel(struct zcreq_conn *conn, uint32_t id, void *arg)
{
	struct fake_sender *sender = arg;

	if (conn != sender->conn || !sender->current || sender->current->id != id)
		wrong(sender, "a cancel of what is not under way");
	if (sender->cancelled)
		wrong(sender, "a second cancel");
	sender->cancelled = true;
}

static void on_reap(struct zcreq_conn *conn, void *arg)
{
	struct fake_sender *sender = arg;

	if (sender->conn && conn != sender->conn)
		wrong(sender, "another's connection");
	sender->conn = conn;
	fake_sender_process(sender);
}

static bool on_pinned(struct zcreq_conn *conn, const struct iovec *memory, int count, void *arg)
{
	struct fake_sender *sender = arg;

	(void)memory;
	if ((sender->conn && conn != sender->conn) || count < 1)
		wrong(sender, "asked for another's memory, or none");
	return sender->knobs.pins;
}

static void on_closed(struct zcreq_conn *conn, void *arg)
{
	struct fake_sender *sender = arg;
	struct fake_socket *sock = sender->sock;

	(void)conn;
	if (sock->closed)
		wrong(sender, "closed after the descriptor");
	if (!TAILQ_EMPTY(&sender->held) || !TAILQ_EMPTY(&sender->proven))
		wrong(sender, "I9: closed with a batch in use");
	if (sock->calls[FAKE_SENDMSG] != sender->sends || sock->zerocopy_on)
		wrong(sender, "MSG_ZEROCOPY on its socket");
	sender->conn = NULL;
}

struct fake_sender *fake_sender_new(struct fake_socket *sock, const struct fake_sender_knobs *knobs)
{
	struct fake_sender *sender = calloc(1, sizeof(*sender));

	if (!sender)
		abort();
	sender->sock = sock;
	sender->knobs = *knobs;
	sender->random.state = knobs->seed;
	TAILQ_INIT(&sender->held);
	TAILQ_INIT(&sender->proven);
	sock->sender = sender;
	return sender;
}

static void batches_free(struct fake_batches *batches)
{
	struct fake_batch *batch;

	while ((batch = TAILQ_FIRST(batches))) {
		TAILQ_REMOVE(batches, batch, in_list);
		batch_free(batch);
	}
}

void fake_sender_free(struct fake_sender *sender)
{
	if (!sender)
		return;
	batches_free(&sender->held);
	batches_free(&sender->proven);
	free(sender);
}

struct fake_sender_knobs *fake_sender_knobs(struct fake_sender *sender)
{
	return &sender->knobs;
}

void fake_sender_options(struct fake_sender *sender, struct zcreq_stream_options *options)
{
	sender->ops = (struct zcreq_sender_ops){
		.submit = on_submit,
		.cancel = sender->knobs.no_cancel ? NULL : on_cancel,
		.reap = sender->knobs.no_reap ? NULL : on_reap,
		.pinned = on_pinned,
		.closed = on_closed,
	};
	options->sender = &sender->ops;
	options->sender_arg = sender;
}

static uint64_t overlap(const struct fake_batch *batch, const void *memory, size_t len)
{
	uintptr_t lo = (uintptr_t)memory, hi = lo + len;
	uint64_t sum = 0;
	int i;

	for (i = 0; lo < batch->to && batch->from < hi && i < batch->iovcnt; i++) {
		uintptr_t from = (uintptr_t)batch->iov[i].iov_base;
		uintptr_t to = from + batch->iov[i].iov_len;

		from = from < lo ? lo : from;
		to = to > hi ? hi : to;
		sum += from < to ? to - from : 0;
	}
	return sum;
}

static void rename_members(struct fake_batch *batch, const uint8_t *memory, size_t len,
			   const uint8_t *name)
{
	int i;

	for (i = 0; i < batch->iovcnt; i++) {
		const uint8_t *at = batch->iov[i].iov_base;

		if (at >= memory && at < memory + len)
			batch->iov[i].iov_base = (void *)(uintptr_t)(name + (at - memory));
	}
	set_bounds(batch);
}

void fake_sender_rename(struct fake_sender *sender, const uint8_t *memory, size_t len,
			const uint8_t *name)
{
	struct fake_batch *batch;

	TAILQ_FOREACH(batch, &sender->held, in_list)
		rename_members(batch, memory, len, name);
	TAILQ_FOREACH(batch, &sender->proven, in_list)
		rename_members(batch, memory, len, name);
}

bool fake_sender_busy(const struct fake_sender *sender)
{
	return sender->current != NULL;
}

uint64_t fake_sender_batches(const struct fake_sender *sender)
{
	return sender->batches;
}

uint64_t fake_sender_untold_bytes(const struct fake_sender *sender)
{
	const struct fake_batch *batch = sender->current;

	return batch && batch->state == BATCH_READY && batch->result > 0 ? (uint64_t)batch->result
									 : 0;
}

uint64_t fake_sender_lent(const struct fake_sender *sender, const void *memory, size_t len,
			  bool under_way)
{
	const struct fake_batch *batch;
	uint64_t sum = 0;

	if (under_way)
		return sender->current ? overlap(sender->current, memory, len) : 0;
	TAILQ_FOREACH(batch, &sender->held, in_list)
		sum += overlap(batch, memory, len);
	TAILQ_FOREACH(batch, &sender->proven, in_list)
		sum += overlap(batch, memory, len);
	return sum;
}
