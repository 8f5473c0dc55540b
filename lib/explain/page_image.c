/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page_image.c - what stands in a page
 *
 * A connection's name is the address of its peer. The kernel is asked for it when the
 * connection is first shown, and then it is remembered from image to image: of a peer that
 * has vanished the kernel tells nothing any more, and that is when the name is wanted.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "explain/facts.h"
#include "explain/page.h"
#include "stream/socket.h"

_Static_assert(sizeof(struct zcreq_page_conn) == 416, "the format of a page");
_Static_assert(sizeof(struct zcreq_page) == 3776, "the format of a page");

static struct zcreq_page_conn *records_of(const struct zcreq_page_keeper *keeper)
{
	return (struct zcreq_page_conn *)(keeper->image + 1);
}

uint64_t zcreq_page_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- names ---- */

static void name_by_peer(int fd, char name[ZCREQ_PAGE_NAME])
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer = {.any = {.sa_family = AF_UNSPEC}};
	char address[INET6_ADDRSTRLEN];

	if (zcreq_kernel_peer(fd, &peer.any, sizeof(peer)))
		return;
	if (peer.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer.v4.sin_addr, address, sizeof(address));
		snprintf(name, ZCREQ_PAGE_NAME, "%s:%d", address, ntohs(peer.v4.sin_port));
	} else if (peer.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer.v6.sin6_addr, address, sizeof(address));
		snprintf(name, ZCREQ_PAGE_NAME, "[%s]:%d", address, ntohs(peer.v6.sin6_port));
	}
}

/* A power of two, so that at least every other one is empty. */
uint32_t zcreq_page_places(uint32_t capacity)
{
	uint32_t places = 2;

	while (places < 2 * capacity)
		places *= 2;
	return places;
}

/* A place has the number of a record, from 1 on; that of a connection's is its own, or behind. */
static void put_in_place(struct zcreq_page_keeper *keeper, uint32_t number, uint32_t record)
{
	uint32_t at = number & keeper->places_mask;

	while (keeper->places[at])
		at = (at + 1) & keeper->places_mask;
	keeper->places[at] = record + 1;
}

/* Has one of these records its name? */
static bool name_again(const struct zcreq_page_keeper *keeper, const uint32_t *places,
		       const struct zcreq_page_conn *records, struct zcreq_page_conn *record)
{
	uint32_t at = record->number & keeper->places_mask;

	for (; places[at]; at = (at + 1) & keeper->places_mask) {
		if (records[places[at] - 1].number != record->number)
			continue;
		memcpy(record->name, records[places[at] - 1].name, ZCREQ_PAGE_NAME);
		return true;
	}
	return false;
}

/* A descriptor that is no longer the stream's may be another socket by now. */
static void name_first(const struct zcreq_conn *conn, struct zcreq_page_conn *record)
{
	if (zcreq_is_stream(conn) && zcreq_stream_of(conn)->ops == &zcreq_kernel_socket &&
	    conn->cause != ZCREQ_CAUSE_DESCRIPTOR)
		name_by_peer(zcreq_stream_of(conn)->fd, record->name);
}

/* ---- connections ---- */

/* But for its name, which is empty. */
static struct zcreq_page_conn record_of(const struct zcreq_conn *conn)
{
	return (struct zcreq_page_conn){
		.number = conn->number,
		.state = conn->state,
		.cause = conn->cause,
		.status = conn->status,
		.verdict = zcreq_conn_sends(conn) ? 0 : conn->stall,
		.stats = zcreq_conn_look_stats(conn),
	};
}

static void look_at(const struct zcreq_page_keeper *keeper, const struct zcreq_conn *conn,
		    struct zcreq_page_conn *record)
{
	*record = record_of(conn);
	if (!name_again(keeper, keeper->places_before, keeper->before, record))
		name_first(conn, record);
	if (zcreq_is_stream(conn)) {
		const struct zcreq_peer_facts peer =
			zcreq_stream_look(zcreq_stream_of(conn)).peer;

		if (peer.verdict)
			record->verdict = peer.verdict;
		record->quiet_ns = peer.quiet_ns;
	}
}

void zcreq_page_note_end(struct zcreq_page_keeper *keeper, const struct zcreq_conn *conn)
{
	struct zcreq_page *image = keeper->image;
	struct zcreq_page_conn *record = &keeper->ended[image->ended_count % ZCREQ_PAGE_ENDED];

	if (conn->cause == ZCREQ_CAUSE_DRAINED || conn->cause == ZCREQ_CAUSE_FREED)
		return;
	*record = record_of(conn);
	/* one that is over already, and not yet told of, is not in the last image */
	if (!name_again(keeper, keeper->places, records_of(keeper), record) &&
	    !name_again(keeper, keeper->places_before, keeper->before, record))
		name_first(conn, record);
	record->ended_ns = zcreq_page_now_ns();
	image->ended_count++;
}

/* ---- all of it ---- */

static void look_at_ended(const struct zcreq_page_keeper *keeper, struct zcreq_page *image)
{
	const uint64_t count = image->ended_count;

	image->ended_seen = count < ZCREQ_PAGE_ENDED ? (uint32_t)count : ZCREQ_PAGE_ENDED;
	for (uint32_t i = 0; i < image->ended_seen; i++)
		image->ended[i] = keeper->ended[(count - 1 - i) % ZCREQ_PAGE_ENDED];
}

/* The image is now the one before, and there is none. */
static void remember(struct zcreq_page_keeper *keeper)
{
	uint32_t *places = keeper->places_before;

	memcpy(keeper->before, records_of(keeper),
	       keeper->image->conns_seen * sizeof(*keeper->before));
	keeper->places_before = keeper->places;
	keeper->places = places;
	memset(places, 0, (keeper->places_mask + 1) * sizeof(*places));
}

void zcreq_page_look(struct zcreq_page_keeper *keeper)
{
	struct zcreq_page_conn *records = records_of(keeper);
	struct zcreq_page *image = keeper->image;

	remember(keeper);
	image->conns_seen = zcreq_context_oldest(keeper->keeper.context, keeper->oldest,
						 keeper->capacity, &image->conn_count);
	for (uint32_t i = 0; i < image->conns_seen; i++)
		look_at(keeper, keeper->oldest[i], &records[i]);
	for (uint32_t i = 0; i < image->conns_seen; i++)
		put_in_place(keeper, records[i].number, i);
	look_at_ended(keeper, image);
	image->stats = zcreq_context_look_stats(keeper->keeper.context);
	image->pid = (uint32_t)getpid(); /* the program may have forked since */
	image->written_ns = zcreq_page_now_ns();
}
