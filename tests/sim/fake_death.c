/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_death.c - how a connection lets go of its pages, and the clock of its peer
 *
 * At its death a connection drops the write queue (the unsent tail) and then the
 * retransmit queue; each record that nothing else holds is notified at that
 * moment. What sits in a queueing discipline is let go of later, or never.
 */
#include <errno.h>
#include <stdlib.h>

#include "sim/fake_internal.h"

/* The order in which to drop: indices into the held list as it was. */
static void order(struct fake_socket *sock, struct fake_record **records, size_t n)
{
	struct fake_record **copy = calloc(n + 1, sizeof(*copy));
	size_t i, j, at = 0;

	if (!copy)
		abort();
	for (i = 0; i < n; i++)
		copy[i] = records[i];
	switch (sock->knobs.death_order) {
	case FAKE_DEATH_OBSERVED:
		for (i = 0; i < n; i++)
			if (copy[i]->begin >= sock->sent_edge)
				records[at++] = copy[i];
		for (i = 0; i < n; i++)
			if (copy[i]->begin < sock->sent_edge)
				records[at++] = copy[i];
		break;
	case FAKE_DEATH_IN_ORDER:
		break;
	case FAKE_DEATH_REVERSED:
		for (i = 0; i < n; i++)
			records[i] = copy[n - 1 - i];
		break;
	case FAKE_DEATH_SHUFFLED:
		for (i = n; i > 1; i--) {
			struct fake_record *swap = records[i - 1];

			j = sim_random_below(&sock->random, i);
			records[i - 1] = records[j];
			records[j] = swap;
		}
		break;
	}
	free(copy);
}

static void hold_on(struct fake_socket *sock, struct fake_record *record)
{
	uint64_t ms = sock->knobs.qdisc_ms;

	record->until_ms = ms == FAKE_NEVER ? FAKE_NEVER : sock->kernel->now_ms + ms;
	fake_happens(sock, FAKE_HELD_ON);
}

void fake_die(struct fake_socket *sock)
{
	struct fake_record **records, *record;
	uint64_t elsewhere;
	size_t i, n = 0;

	if (sock->dead)
		return;
	sock->dead = true;
	sock->timer_ms = sock->answer_ms = 0;
	elsewhere = sock->knobs.qdisc_bytes;
	if (elsewhere > sock->sent_edge - sock->acked)
		elsewhere = sock->sent_edge - sock->acked;
	elsewhere += sock->acked;
	if (sock->held)
		fake_happens(sock, FAKE_DIED_HOLDING);
	records = calloc(sock->held_count + 1, sizeof(*records));
	if (!records)
		abort();
	for (record = sock->held; record; record = record->next)
		records[n++] = record;
	order(sock, records, n);
	for (i = 0; i < n; i++) {
		record = records[i];
		if (record->queued && elsewhere > sock->acked && record->begin < elsewhere)
			hold_on(sock, record);
		record->queued = false;
		fake_record_settle(sock, record);
	}
	free(records);
}

void fake_late_releases(struct fake_socket *sock)
{
	struct fake_record *record, *next;

	for (record = sock->held; record; record = next) {
		next = record->next;
		if (!record->until_ms || record->until_ms > sock->kernel->now_ms)
			continue;
		record->until_ms = 0;
		fake_record_settle(sock, record);
	}
}

static struct fake_record *find(struct fake_socket *sock, uint32_t id)
{
	struct fake_record *record;

	for (record = sock->held; record; record = record->next)
		if (id - record->lo < record->count)
			return record;
	return NULL;
}

bool fake_socket_pin(struct fake_socket *sock, uint32_t id)
{
	struct fake_record *record = find(sock, id);

	if (record)
		record->pins++;
	return record != NULL;
}

bool fake_socket_unpin(struct fake_socket *sock, uint32_t id)
{
	struct fake_record *record = find(sock, id);

	if (!record || !record->pins)
		return false;
	record->pins--;
	fake_record_settle(sock, record);
	return true;
}

unsigned fake_socket_let_go(struct fake_socket *sock, unsigned records)
{
	struct fake_record *record, *next;
	unsigned n = 0;

	for (record = sock->held; record && n < records; record = next) {
		next = record->next;
		if (!record->until_ms && !record->pins)
			continue;
		record->until_ms = 0;
		record->pins = 0;
		fake_record_settle(sock, record);
		n++;
	}
	return n;
}

static void timeout(struct fake_socket *sock)
{
	uint64_t now = sock->kernel->now_ms;
	uint64_t wait = FAKE_RTO_MAX_MS;

	if (sock->backoff < 10)
		wait = fake_rto_ms(sock) << sock->backoff;
	if (wait > FAKE_RTO_MAX_MS)
		wait = FAKE_RTO_MAX_MS;
	sock->timer_ms = now + wait;
	if (sock->user_timeout_ms && now < sock->stalled_ms + sock->user_timeout_ms &&
	    sock->timer_ms > sock->stalled_ms + sock->user_timeout_ms)
		sock->timer_ms = sock->stalled_ms + sock->user_timeout_ms;
}

/* The answer to a probe is here; the next probe is due from now on. */
void fake_answer(struct fake_socket *sock)
{
	sock->answer_ms = 0;
	if (sock->dead || sock->vanished)
		return;
	sock->last_ack_ms = sock->kernel->now_ms;
	sock->probes = 0;
	if (sock->timer_ms)
		timeout(sock);
}

/*
 * The retransmission timer, or the zero-window probe. A peer that lives answers a
 * probe at once; what is in flight to a living peer is the test's to acknowledge.
 */
void fake_timer(struct fake_socket *sock)
{
	uint64_t now = sock->kernel->now_ms;
	bool flying = sock->sent_edge > sock->acked || fake_fin_flies(sock);

	if (sock->user_timeout_ms && (sock->vanished || !flying) &&
	    now >= sock->stalled_ms + sock->user_timeout_ms) {
		fake_happens(sock, FAKE_TIMED_OUT);
		fake_socket_kill(sock, ETIMEDOUT);
		return;
	}
	if (flying && !sock->vanished) {
		sock->timer_ms = now + fake_rto_ms(sock);
		return;
	}
	fake_happens(sock, flying ? FAKE_RETRANSMITTED : FAKE_WINDOW_CLOSED);
	if (flying) {
		sock->retransmits++;
		sock->total_retrans++;
		sock->last_sent_ms = now;
	} else {
		sock->probes++;
	}
	if (sock->backoff < FAKE_RETRIES && (flying || !sock->knobs.no_carrier))
		sock->backoff++;
	if (sock->retransmits > FAKE_RETRIES || sock->probes > FAKE_RETRIES) {
		fake_happens(sock, FAKE_TIMED_OUT);
		fake_socket_kill(sock, ETIMEDOUT);
		return;
	}
	timeout(sock);
	if (!flying && sock->knobs.no_carrier)
		sock->timer_ms = now + FAKE_CARRIER_MS;
	if (flying || sock->knobs.no_carrier || sock->vanished || sock->answer_ms ||
	    (sock->answered_ms && now < sock->answered_ms + sock->knobs.probe_limit_ms))
		return;
	sock->answered_ms = now;
	sock->answer_ms = now + sock->knobs.rtt_ms;
	if (!sock->knobs.rtt_ms)
		fake_answer(sock);
}
