/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gain.c - from where on does sending without a copy pay, and does mode auto know?
 *
 *	send         send(2), which copies: what the others are compared with
 *	zerocopy     MSG_ZEROCOPY by hand: counts notifications, tracks nothing
 *	send_zc      io_uring's SEND_ZC by hand; send_zc+reg from registered memory
 *	never        the library in that mode, through the socket, a turn for each send
 *	always, auto in these modes; with +batch many sends in a turn
 *	uring        the library by reference through a ring; uring+reg from registered memory
 *	uring-never, uring-auto  in these modes through a ring
 *	never-again  the same as never, on a connection of its own, and so with +batch and uring-:
 *	             what two connections of one kind differ by is no difference of two kinds
 *
 * on a path that copies nothing, on loopback and over a veth pair, from pages of 4 KiB and
 * from huge ones. A connection of each way is open; after a moment that nobody measures they
 * take turns, some milliseconds each, for so many rounds. What is printed are medians, of
 * processor time for each KiB (where somebody reads, the reader's included: gain_net.c) and of
 * throughput, and the medians of their
 * ratios to send(2) in the same round: noise hits neighbours in time alike.
 *
 *	gain [ROUNDS [PATH [PAGES [BYTES]]]]    PATH and PAGES as printed, or "all"
 */
#include "gain.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <zcreq/zcreq.h>

#include "gain_table.h"

#define PASSES 3
#define TRIES 3
#define ROUND_NS 12000000
#define WARM_NS 2000000
#define WARM_SENDS 24
#define INFLIGHT_BYTES ((size_t)8 << 20)
#define INFLIGHT_MOST 256
#define HUGE_THRESHOLD 16384 /* as include/zcreq/stream.h has it */

void die(const char *what)
{
	perror(what);
	exit(1);
}

void check(int ret)
{
	if (ret < 0) {
		fprintf(stderr, "gain: %s\n", strerror(-ret));
		exit(1);
	}
}

static const struct way *const ways[] = {
	&way_send, &way_zerocopy, &way_never, &way_always, &way_auto,
	&way_never_batch, &way_always_batch, &way_auto_batch,
	&way_never_again, &way_never_batch_again,
#ifdef BENCH_RING
	&way_send_zc, &way_send_zc_fixed, &way_uring, &way_uring_fixed,
	&way_uring_never, &way_uring_auto, &way_uring_never_again,
#endif
};

#define WAYS (sizeof(ways) / sizeof(*ways))

static const struct way *chosen[WAYS];
static unsigned chosen_count;

static const size_t sizes[] = {
	1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20,
};

struct place {
	struct sender sender;
	struct gain_end end;
	uint64_t before; /* bytes that were read before the sender began */
};

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void open_place(struct place *place, const struct gain_case *c, unsigned n, char *pool)
{
	size_t most = INFLIGHT_BYTES / c->bytes;

	most = most < 2 ? 2 : most;
	place->end = gain_connect(c->path, n);
	place->before = place->end.read ? *place->end.read : 0;
	place->sender = (struct sender){
		.way = chosen[n], .fd = place->end.fd, .pool = pool, .bytes = c->bytes,
		.most = most < INFLIGHT_MOST ? (unsigned)most : INFLIGHT_MOST,
		.threshold = c->huge ? HUGE_THRESHOLD : 0,
	};
	chosen[n]->open(&place->sender);
	/* what a connection begins with is not measured: mode auto finds its way */
	while (place->sender.sent < WARM_SENDS * c->bytes)
		chosen[n]->run(&place->sender, zcreq_now_ns() + WARM_NS);
}

/* What one round leaves to be read, the next would pay for. */
static void await_reader(const struct place *place)
{
	while (*place->end.read - place->before < place->sender.sent)
		sched_yield();
}

/* Where somebody reads, both have one core, and all of its time is theirs. */
static void one_round(struct place *place, struct gain_result *result, int round)
{
	struct sender *sender = &place->sender;
	uint64_t start_ns = zcreq_now_ns(), start_cpu = cpu_ns(), sent = sender->sent, took_ns;
	double kib;

	sender->way->run(sender, start_ns + ROUND_NS);
	if (place->end.read)
		await_reader(place);
	took_ns = zcreq_now_ns() - start_ns;
	kib = (double)(sender->sent - sent) / 1024;
	result->cpu[round] = (double)(place->end.read ? took_ns : cpu_ns() - start_cpu) / kib;
	result->mbps[round] = kib * 1024 / 1e6 / ((double)took_ns / 1e9);
}

/* Another order in each round, the same ones in each run: whoever comes after a copy finds
 * another cache than who comes after none. */
static void shuffle(unsigned *order)
{
	static unsigned seed = 1;

	for (unsigned n = 0; n < chosen_count; n++) {
		unsigned other = (unsigned)rand_r(&seed) % (n + 1);

		order[n] = order[other];
		order[other] = n;
	}
}

/* False: a packet was lost, and what follows a loss is sent in small pieces. */
static bool measure_once(struct gain_cell *cell, const struct gain_case *c, char *pool, int rounds)
{
	struct place places[WAYS];
	bool lost_nothing = true;

	for (unsigned n = 0; n < chosen_count; n++) {
		open_place(&places[n], c, n, pool);
		cell->results[n].name = chosen[n]->name;
	}
	gain_pool_touch(pool);
	for (int round = 0; round < rounds; round++) {
		unsigned order[WAYS];

		shuffle(order);
		for (unsigned n = 0; n < chosen_count; n++)
			one_round(&places[order[n]], &cell->results[order[n]], cell->rounds + round);
	}
	for (unsigned n = 0; n < chosen_count; n++) {
		lost_nothing = lost_nothing && gain_lost_nothing(places[n].sender.fd);
		chosen[n]->close(&places[n].sender);
		gain_disconnected(&places[n].end);
	}
	return lost_nothing;
}

/* One size on one path. */
static void measure(const struct gain_case *c, char *pool, int rounds)
{
	struct gain_cell *cell = gain_table_cell(c);
	int tries = 0;

	while (!measure_once(cell, c, pool, rounds) && ++tries < TRIES)
		;
	cell->ways = chosen_count;
	cell->rounds += rounds;
}

static bool wanted(const char *word, const char *name)
{
	return !word || !strcmp(word, "all") || !strcmp(word, name);
}

/* @list: with commas; the first of all is always there, to be compared with */
static void choose(const char *list)
{
	char words[256], *save, *word;

	for (unsigned n = 0; n < WAYS; n++) {
		bool in = n == 0 || !list;

		snprintf(words, sizeof(words), "%s", list ? list : "");
		for (word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save))
			in = in || !strcmp(word, ways[n]->name);
		if (in)
			chosen[chosen_count++] = ways[n];
	}
}

static void measure_pages(const struct gain_case *all, const char *bytes, int rounds)
{
	char *pool = gain_pool(all->huge), word[32];

	if (!pool) {
		fprintf(stderr, "gain: no huge pages\n");
		return;
	}
	for (unsigned s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		struct gain_case c = *all;

		c.bytes = sizes[s];
		snprintf(word, sizeof(word), "%zu", c.bytes);
		if (wanted(bytes, word))
			measure(&c, pool, rounds);
	}
	gain_pool_free(pool);
}

static void one_pass(char **words, int count, int rounds)
{
	const char *path = count > 0 ? words[0] : NULL, *pages = count > 1 ? words[1] : NULL;
	const char *bytes = count > 2 ? words[2] : NULL;

	for (unsigned p = 0; p < GAIN_PATHS; p++)
		for (int huge = 0; !gain_path_missing(p) && huge < 2; huge++)
			if (wanted(path, gain_path_names[p]) && wanted(pages, huge ? "huge" : "4k"))
				measure_pages(&(struct gain_case){p, huge, 0}, bytes, rounds);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 8;
	const char *missing;

	if (rounds < 1 || rounds * PASSES > ROUNDS_MOST || argc > 6) {
		fprintf(stderr, "usage: gain [ROUNDS [PATH [PAGES [BYTES [WAYS]]]]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	choose(argc > 5 ? argv[5] : NULL);
	missing = gain_net_open();
	if (missing) {
		fprintf(stderr, "gain: %s\n", missing);
		return 77;
	}
	for (unsigned p = 0; p < GAIN_PATHS; p++)
		if (gain_path_missing(p))
			fprintf(stderr, "gain: %s\n", gain_path_missing(p));
	stay_on(0);
	for (int pass = 0; pass < PASSES; pass++)
		one_pass(argv + 2, argc - 2, rounds);
	gain_table_print();
	return 0;
}
