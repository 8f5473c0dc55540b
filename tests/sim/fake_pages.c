/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_pages.c - other pages under the same addresses
 *
 * A kernel holds pages, a program owns addresses. Until pages are exchanged there is no
 * difference, and a range of a record is both. From then on its bytes are in memory of the
 * kernel's own, with what they were in that moment, whatever the program does at the address
 * by which it knows them. A send that is the program's again is given another name, so that
 * what is lent at its address later is not taken for it.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/fake_internal.h"

struct fake_old {
	struct fake_old *next;
	uint8_t bytes[];
};

void fake_old_free(struct fake_kernel *kernel)
{
	struct fake_old *old;

	while ((old = kernel->old)) {
		kernel->old = old->next;
		free(old);
	}
}

static const uint8_t *keep(struct fake_kernel *kernel, const struct fake_range *range)
{
	struct fake_old *old = malloc(sizeof(*old) + range->len);

	if (!old)
		abort();
	memcpy(old->bytes, range->base, range->len);
	old->next = kernel->old;
	kernel->old = old;
	return old->bytes;
}

/* The bytes from @at on are a range of their own, at the end of the list. */
static void split(struct fake_record *record, size_t i, size_t at)
{
	struct fake_range *range;

	record->ranges = fake_grow(record->ranges, &record->range_room, record->range_count + 1,
				   sizeof(*record->ranges));
	range = &record->ranges[record->range_count++];
	*range = record->ranges[i];
	range->base += at;
	range->lent += at;
	range->offset += at;
	range->len -= at;
	record->ranges[i].len = at;
}

/* What is split off comes up again. */
static bool exchange_range(struct fake_kernel *kernel, struct fake_record *record, size_t i,
			   uintptr_t from, uintptr_t to)
{
	uintptr_t lo = (uintptr_t)record->ranges[i].base, hi = lo + record->ranges[i].len;

	if (record->ranges[i].moved || hi <= from || lo >= to)
		return false;
	if (lo < from) {
		split(record, i, from - lo);
		return false;
	}
	if (hi > to)
		split(record, i, to - lo);
	record->ranges[i].base = keep(kernel, &record->ranges[i]);
	record->ranges[i].moved = true;
	return true;
}

void fake_kernel_exchange(struct fake_kernel *kernel, const void *start, size_t bytes)
{
	uintptr_t from = (uintptr_t)start;
	struct fake_record *record;
	struct fake_socket *sock;
	size_t i;

	for (sock = kernel->sockets; sock; sock = sock->next)
		for (record = sock->held; record; record = record->next)
			for (i = 0; i < record->range_count; i++)
				if (exchange_range(kernel, record, i, from, from + bytes))
					fake_happens(sock, FAKE_EXCHANGED);
}

static void rename_ranges(struct fake_record *record, const uint8_t *memory, size_t len,
			  const uint8_t *name)
{
	struct fake_range *range;
	size_t i;

	for (; record; record = record->next)
		for (i = 0; i < record->range_count; i++) {
			range = &record->ranges[i];
			if (range->lent >= memory && range->lent < memory + len)
				range->lent = name + (range->lent - memory);
		}
}

void fake_socket_rename(struct fake_socket *sock, const void *memory, size_t len,
			const void *name)
{
	struct fake_message *message;

	rename_ranges(sock->held, memory, len, name);
	for (message = sock->messages; message; message = message->next)
		rename_ranges(message->records, memory, len, name);
	if (sock->sender)
		fake_sender_rename(sock->sender, memory, len, name);
}
