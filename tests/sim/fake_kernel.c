/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_kernel.c - the kernel, its clock, what it reports and what it found wrong
 *
 * Owns all sockets and all memory of the fake. A socket lives until the kernel
 * is freed, also after its close: an orphan goes on transmitting, which is the
 * whole point of I9.
 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fake_internal.h"

/* A test that is out of memory has nothing to say. */
void *fake_grow(void *memory, size_t *room, size_t need, size_t each)
{
	size_t n = *room ? *room : 16;

	if (need <= *room)
		return memory;
	while (n < need)
		n *= 2;
	memory = realloc(memory, n * each);
	if (!memory)
		abort();
	*room = n;
	return memory;
}

void fake_violation(struct fake_kernel *kernel, const char *format, ...)
{
	va_list args;

	if (kernel->violations < FAKE_TEXTS) {
		va_start(args, format);
		vsnprintf(kernel->texts[kernel->violations], sizeof(kernel->texts[0]), format,
			  args);
		va_end(args);
	}
	kernel->violations++;
}

struct fake_kernel *fake_kernel_new(void)
{
	struct fake_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		abort();
	kernel->now_ms = 1000000;
	return kernel;
}

static void socket_free(struct fake_socket *sock)
{
	struct fake_record *record, *next;

	for (record = sock->held; record; record = next) {
		next = record->next;
		fake_record_free(record);
	}
	fake_messages_purge(sock);
	fake_sender_free(sock->sender);
	free(sock->accepted);
	free(sock->received);
	free(sock->lost);
	free(sock);
}

void fake_kernel_free(struct fake_kernel *kernel)
{
	struct fake_socket *sock, *next;

	if (!kernel)
		return;
	for (sock = kernel->sockets; sock; sock = next) {
		next = sock->next;
		socket_free(sock);
	}
	fake_old_free(kernel);
	free(kernel);
}

void fake_kernel_advance_ms(struct fake_kernel *kernel, uint64_t ms)
{
	uint64_t end = kernel->now_ms + ms;
	struct fake_socket *sock;
	uint64_t next;

	/* From event to event, so that a late release is not seen early. */
	for (;;) {
		next = end;
		for (sock = kernel->sockets; sock; sock = sock->next) {
			if (sock->timer_ms && sock->timer_ms < next)
				next = sock->timer_ms;
			if (sock->answer_ms && sock->answer_ms < next)
				next = sock->answer_ms;
		}
		if (kernel->now_ms < next)
			kernel->now_ms = next;
		for (sock = kernel->sockets; sock; sock = sock->next) {
			if (sock->answer_ms && sock->answer_ms <= kernel->now_ms)
				fake_answer(sock);
			if (sock->timer_ms && sock->timer_ms <= kernel->now_ms)
				fake_timer(sock);
			fake_late_releases(sock);
		}
		if (kernel->now_ms == end)
			return;
	}
}

uint64_t fake_kernel_now_ms(const struct fake_kernel *kernel)
{
	return kernel->now_ms;
}

void fake_kernel_audit(struct fake_kernel *kernel)
{
	struct fake_record *record;
	struct fake_socket *sock;

	for (sock = kernel->sockets; sock; sock = sock->next)
		for (record = sock->held; record; record = record->next)
			fake_record_audit(sock, record);
}

unsigned fake_kernel_violations(const struct fake_kernel *kernel)
{
	return kernel->violations;
}

const char *fake_kernel_violation(const struct fake_kernel *kernel, unsigned n)
{
	if (n >= kernel->violations || n >= FAKE_TEXTS)
		return NULL;
	return kernel->texts[n];
}

/* The bytes that a record and some memory have in common, or had when they were lent. */
static uint64_t overlap(const struct fake_record *record, const uint8_t *memory, size_t len,
			bool now)
{
	uintptr_t lo = (uintptr_t)memory;
	uintptr_t hi = lo + len;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < record->range_count; i++) {
		const struct fake_range *range = &record->ranges[i];
		uintptr_t from = (uintptr_t)(now ? range->base : range->lent);
		uintptr_t to = from + range->len;

		from = from < lo ? lo : from;
		to = to > hi ? hi : to;
		if (from < to)
			sum += to - from;
	}
	return sum;
}

static uint64_t overlap_list(const struct fake_record *record, const void *memory, size_t len,
			     bool now)
{
	uint64_t sum = 0;

	for (; record; record = record->next)
		sum += overlap(record, memory, len, now);
	return sum;
}

uint64_t fake_kernel_references(const struct fake_kernel *kernel, const void *memory, size_t len)
{
	const struct fake_socket *sock;
	uint64_t sum = 0;

	for (sock = kernel->sockets; sock; sock = sock->next)
		sum += overlap_list(sock->held, memory, len, true);
	return sum;
}

uint64_t fake_socket_lent(const struct fake_socket *sock, const void *memory, size_t len)
{
	return sock->sender ? fake_sender_lent(sock->sender, memory, len, false) : 0;
}

uint64_t fake_socket_under_way(const struct fake_socket *sock, const void *memory, size_t len)
{
	return sock->sender ? fake_sender_lent(sock->sender, memory, len, true) : 0;
}

uint64_t fake_socket_unproven(const struct fake_socket *sock, const void *memory, size_t len)
{
	uint64_t sum = overlap_list(sock->held, memory, len, false);
	const struct fake_message *message;

	/* all that its records are made of, and more */
	if (sock->sender)
		return fake_socket_lent(sock, memory, len);
	for (message = sock->messages; message; message = message->next)
		sum += overlap_list(message->records, memory, len, false);
	return sum;
}

uint64_t fake_kernel_unproven(const struct fake_kernel *kernel, const void *memory, size_t len)
{
	const struct fake_socket *sock;
	uint64_t sum = 0;

	for (sock = kernel->sockets; sock; sock = sock->next)
		sum += fake_socket_unproven(sock, memory, len);
	return sum;
}

static bool any_of(const struct fake_record *record, uint64_t from, uint64_t to)
{
	for (; record; record = record->next)
		if (record->begin < to && from < record->end)
			return true;
	return false;
}

bool fake_socket_unproven_part(const struct fake_socket *sock, uint64_t from, uint64_t to)
{
	const struct fake_message *message;

	if (any_of(sock->held, from, to))
		return true;
	for (message = sock->messages; message; message = message->next)
		if (any_of(message->records, from, to))
			return true;
	return false;
}

void fake_kernel_effort(const struct fake_kernel *kernel, uint64_t *calls, uint64_t *work)
{
	*calls = kernel->calls;
	*work = kernel->work;
}

uint64_t fake_kernel_happened(const struct fake_kernel *kernel, enum fake_event event)
{
	return kernel->happened[event];
}

const char *fake_event_name(enum fake_event event)
{
	static const char *const names[FAKE_EVENTS] = {
		[FAKE_PARTIAL] = "partial send",
		[FAKE_FULL] = "EAGAIN",
		[FAKE_INTERRUPTED] = "EINTR",
		[FAKE_LOCKED] = "ENOBUFS, locked memory",
		[FAKE_OPTMEM] = "ENOBUFS, option memory",
		[FAKE_CUT] = "EFAULT",
		[FAKE_SHARED] = "shared record",
		[FAKE_EARLY] = "told before sendmsg returned",
		[FAKE_COALESCED] = "coalesced notification",
		[FAKE_WRAPPED] = "range across 2^32",
		[FAKE_TO_THE_WRAP] = "range up to 2^32 - 1",
		[FAKE_COPIED] = "COPIED",
		[FAKE_OUT_OF_ORDER] = "out of order",
		[FAKE_FOREIGN] = "foreign message",
		[FAKE_WINDOW_CLOSED] = "probe of a closed window",
		[FAKE_RETRANSMITTED] = "retransmission to nobody",
		[FAKE_TIMED_OUT] = "ETIMEDOUT",
		[FAKE_DIED_HOLDING] = "death with pages held",
		[FAKE_HELD_ON] = "held by a queueing discipline",
		[FAKE_BUSY] = "disconnect refused",
		[FAKE_ORPHAN] = "acknowledged after close",
		[FAKE_EXCHANGED] = "old pages kept",
		[FAKE_SENT_OLD] = "sent from old pages",
	};

	return names[event];
}

unsigned fake_kernel_open_sockets(const struct fake_kernel *kernel)
{
	const struct fake_socket *sock;
	unsigned n = 0;

	for (sock = kernel->sockets; sock; sock = sock->next)
		n += !sock->closed;
	return n;
}

void fake_socket_knobs_init(struct fake_knobs *knobs)
{
	memset(knobs, 0, sizeof(*knobs));
	knobs->family = FAKE_IPV4;
	knobs->type = SOCK_STREAM;
	knobs->protocol = IPPROTO_TCP;
	knobs->connected = true;
	knobs->seed = 1;
	knobs->sndbuf_bytes = 4 << 20;
	knobs->accept_bytes = FAKE_NEVER;
	knobs->accept_once_bytes = FAKE_NEVER;
	knobs->locked_pages = FAKE_NEVER;
	knobs->optmem_bytes = FAKE_NEVER;
	knobs->cwnd_bytes = FAKE_NEVER;
	knobs->qdisc_ms = FAKE_NEVER;
	knobs->coalesce = true;
	knobs->death_order = FAKE_DEATH_OBSERVED;
}

static int lowest_fd(const struct fake_kernel *kernel)
{
	const struct fake_socket *sock;
	int fd = 100;

	for (sock = kernel->sockets; sock;) {
		if (!sock->closed && sock->fd == fd) {
			fd++;
			sock = kernel->sockets;
		} else {
			sock = sock->next;
		}
	}
	return fd;
}

struct fake_socket *fake_socket_new(struct fake_kernel *kernel, const struct fake_knobs *knobs)
{
	struct fake_socket *sock = calloc(1, sizeof(*sock));

	if (!sock)
		abort();
	if (knobs)
		sock->knobs = *knobs;
	else
		fake_socket_knobs_init(&sock->knobs);
	sock->kernel = kernel;
	sock->fd = lowest_fd(kernel);
	sock->random.state = sock->knobs.seed;
	sock->next_id = sock->knobs.first_id;
	sock->zerocopy_on = sock->knobs.zerocopy_on;
	sock->window = FAKE_NEVER;
	sock->last_ack_ms = sock->last_data_ms = sock->last_sent_ms = kernel->now_ms;
	sock->next = kernel->sockets;
	kernel->sockets = sock;
	return sock;
}

int fake_socket_fd(const struct fake_socket *sock)
{
	return sock->fd;
}

struct fake_knobs *fake_socket_knobs(struct fake_socket *sock)
{
	return &sock->knobs;
}

void fake_socket_report(const struct fake_socket *sock, struct fake_socket_report *report)
{
	memset(report, 0, sizeof(*report));
	memcpy(report->calls, sock->calls, sizeof(report->calls));
	report->accepted_bytes = sock->total;
	report->acked_bytes = sock->acked;
	report->sent_bytes = sock->sent_edge;
	report->zerocopy_sends = sock->zerocopy_sends;
	report->ids_unproven = sock->sender ? fake_sender_batches(sock->sender)
					    : sock->zerocopy_sends - sock->ids_told;
	report->untold_bytes = sock->sender ? fake_sender_untold_bytes(sock->sender) : 0;
	report->copied_sends = sock->copied_sends;
	report->next_id = sock->next_id;
	report->records_held = sock->held_count;
	report->held_bytes = sock->held_bytes;
	report->unproven_bytes = sock->held_bytes + sock->told_bytes;
	report->messages_unread = sock->messages_unread;
	report->messages_read = sock->messages_read;
	report->messages_cut = sock->messages_cut;
	report->disconnects = sock->disconnects;
	report->reset_sent = sock->reset_sent;
	report->fin_sent = sock->shut_send;
	report->fin_acked = sock->fin_acked;
	report->died = sock->dead;
	report->closed = sock->closed;
	report->closed_holding_bytes = sock->closed_holding_bytes;
	report->closed_unproven_bytes = sock->closed_unproven_bytes;
	report->closed_unsent_bytes = sock->closed_unsent_bytes;
	report->heard_ms = sock->kernel->now_ms - sock->last_ack_ms;
	report->asked_heard_ms = sock->asked_heard_ms;
	report->window_closed = sock->window < FAKE_MSS;
	report->foreign_bytes = sock->foreign_bytes;
	report->user_timeout_ms = sock->user_timeout_ms;
	report->zerocopy_on = sock->zerocopy_on;
}

const uint8_t *fake_socket_accepted(const struct fake_socket *sock, size_t *len)
{
	*len = sock->total;
	return sock->accepted;
}

const uint8_t *fake_socket_received(const struct fake_socket *sock, size_t *len)
{
	*len = sock->acked;
	return sock->received;
}
