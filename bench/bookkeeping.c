/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bookkeeping.c - what it costs to know whose an id is, at any number in flight
 *
 * The designs of bench/designs, each over a socket that costs nothing, with a
 * steady number in flight, and notifications that come
 *
 *	fifo     oldest first, as on a healthy connection: TURN sent, TURN told
 *	reverse  newest first, as they may come when a connection dies: what is
 *	         measured is the last SAMPLE sends and the first SAMPLE
 *	         notifications of the death, so that the number in flight is as named
 *
 *	bookkeeping list|map|maps|zcreq fifo|reverse INFLIGHT [REQUESTS]
 *
 * prints nanoseconds; scripts/bench runs it under callgrind too and counts all
 * instructions but those of this file and of the socket.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "designs/designs.h"

#define TURN 32u
#define SAMPLE 256u
#define INFLIGHT_MOST (1u << 20)

static const struct design *const designs[] = {
	&design_list, &design_map, &design_maps, &design_zcreq,
};

static struct free_socket sock;
static const struct design *design;
static uint64_t sent, released, start_ns, measured_ns;

static void done(void *arg)
{
	(void)arg;
	released++;
}

static void measure(void)
{
	CALLGRIND_START_INSTRUMENTATION;
	start_ns = zcreq_now_ns();
}

static void measured(void)
{
	measured_ns += zcreq_now_ns() - start_ns;
	CALLGRIND_STOP_INSTRUMENTATION;
}

static void send_some(uint32_t count)
{
	static char buffer[SEND_BYTES];
	const struct iovec iov = {buffer, sizeof(buffer)};

	for (uint32_t i = 0; i < count; i++)
		design->send(&iov);
	sent += count;
}

/* The socket tells of @count ids, beginning with @id: they all have to come back. */
static void take_back(uint32_t id, int32_t step, uint32_t count)
{
	uint64_t until = released + count;

	sock.tell = id;
	sock.step = step;
	sock.ready = count;
	while (sock.ready)
		design->reap();
	if (released != until)
		abort();
}

static void fifo(uint32_t inflight, uint64_t requests, uint32_t turn)
{
	for (uint64_t i = 0; i < requests; i += turn) {
		send_some(turn);
		take_back(released, 1, turn);
	}
	if (sent - released != inflight - turn)
		abort();
}

static void run_fifo(uint32_t inflight, uint64_t requests)
{
	uint32_t turn = inflight < TURN ? inflight : TURN;

	send_some(inflight - turn);
	fifo(inflight, 2 * inflight, turn); /* tables have their size, caches are warm */
	measure();
	fifo(inflight, requests, turn);
	measured();
}

static void death(uint32_t inflight, uint32_t sample)
{
	send_some(sample);
	take_back(sock.issued - 1, -1, sample);
	if (sent - released != inflight - sample)
		abort();
}

static void run_reverse(uint32_t inflight, uint64_t requests)
{
	uint32_t sample = inflight < SAMPLE ? inflight : SAMPLE;

	for (uint64_t i = 0; i < sample + requests; i += sample) {
		uint32_t oldest = sock.issued;

		send_some(inflight - sample);
		if (i)
			measure();
		death(inflight, sample);
		if (i)
			measured();
		take_back(oldest, 1, inflight - sample);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: bookkeeping list|map|maps|zcreq fifo|reverse INFLIGHT [REQUESTS]\n"
		"INFLIGHT: 1, or a multiple of %u up to %u; REQUESTS: a multiple of %u and of\n"
		"INFLIGHT, whichever is smaller\n", TURN, INFLIGHT_MOST, SAMPLE);
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t requests = argc > 4 ? strtoull(argv[4], NULL, 0) : 1 << 18;
	uint32_t inflight;

	for (unsigned i = 0; argc > 1 && i < sizeof(designs) / sizeof(*designs); i++) {
		if (!strcmp(argv[1], designs[i]->name))
			design = designs[i];
	}
	if (argc < 4 || !design || (strcmp(argv[2], "fifo") && strcmp(argv[2], "reverse")))
		return usage();
	inflight = strtoul(argv[3], NULL, 0);
	if (!inflight || inflight > INFLIGHT_MOST || (inflight > 1 && inflight % TURN) ||
	    !requests || requests % (inflight < SAMPLE ? inflight : SAMPLE))
		return usage();
	design->open(&sock, inflight, done);
	/* of one there is but one order, and no death between whose ends to read a clock */
	if (inflight == 1 || !strcmp(argv[2], "fifo"))
		run_fifo(inflight, requests);
	else
		run_reverse(inflight, requests);
	printf("bench=bookkeeping design=%s order=%s inflight=%" PRIu32 " requests=%" PRIu64
	       " ns=%.1f\n", design->name, argv[2], inflight, requests,
	       (double)measured_ns / requests);
	return 0;
}
