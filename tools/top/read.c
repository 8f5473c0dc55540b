/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read.c - a file into pages
 *
 * The file is read and not mapped: one that is cut short while this runs is an error of
 * pread(2) then, and no signal. The kernel takes a reference to the file's memory with each
 * call, which orders it after the one before; so a sequence that is the same before and
 * after says that nothing in between was being written.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "top.h"

/* A writer is at it for microseconds. It may have lost its processor there. */
#define TRIES 100
#define PAUSE_NS 2000000

#define PAGES_MOST 1024
#define CONNS_MOST 65536 /* of one page */

static const char unwritten[] = "nothing has been written to it yet";
static const char unfinished[] = "its writer has stopped in the middle of writing";
static const char nonsense[] = "it contradicts itself";

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- what is believed ---- */

static const char *judge(const struct zcreq_page *page, uint64_t left)
{
	static const char magic[sizeof(page->magic)] = ZCREQ_PAGE_MAGIC, zeroes[sizeof(magic)];
	uint64_t room;

	if (memcmp(page->magic, zeroes, sizeof(magic)) == 0)
		return unwritten;
	if (memcmp(page->magic, magic, sizeof(magic)) != 0)
		return "it is no page of zcreq";
	if (page->byte_order != ZCREQ_PAGE_BYTE_ORDER)
		return "it is of a machine with another byte order";
	if (page->version != ZCREQ_PAGE_VERSION)
		return "its format is of another version";
	if (page->page_bytes > left)
		return "it is cut short";
	if (page->page_bytes < sizeof(*page) || page->page_bytes % 8)
		return nonsense;
	room = (page->page_bytes - sizeof(*page)) / sizeof(struct zcreq_page_conn);
	if (page->conns_seen > room || page->conns_seen > page->conn_count ||
	    page->ended_seen > ZCREQ_PAGE_ENDED || page->ended_seen > page->ended_count ||
	    page->state < ZCREQ_PAGE_KEPT || page->state > ZCREQ_PAGE_STOPPED ||
	    page->pid < 1 || page->pid > INT_MAX || page->interval_ms < 1 ||
	    page->interval_ms > ZCREQ_PAGE_INTERVAL_MOST_MS)
		return nonsense;
	return NULL;
}

/* It ends, and has nothing but printable ASCII. */
static void clean_name(char name[ZCREQ_PAGE_NAME])
{
	name[ZCREQ_PAGE_NAME - 1] = '\0';
	for (; *name; name++)
		if (*name < ' ' || *name > '~')
			*name = '?';
}

static void clean(struct zcreq_page_conn *conns, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct zcreq_page_conn *conn = &conns[i];

		clean_name(conn->name);
		if (conn->state > ZCREQ_CONN_CLOSED)
			conn->state = 0;
		if (conn->cause > ZCREQ_CAUSE_SENDER)
			conn->cause = 0;
		if (conn->verdict > ZCREQ_STALL_CONGESTED)
			conn->verdict = 0;
		if (conn->status > 0 || conn->status < -4095)
			conn->status = 0;
	}
}

/* ---- what is read ---- */

static const char *read_at(int fd, void *to, size_t len, uint64_t offset)
{
	ssize_t got = pread(fd, to, len, (off_t)offset);

	if (got < 0)
		return strerror(errno);
	return (size_t)got < len ? "it is cut short" : NULL;
}

static const char *read_sequence(int fd, uint64_t offset, uint32_t *sequence)
{
	return read_at(fd, sequence, sizeof(*sequence),
		       offset + offsetof(struct zcreq_page, sequence));
}

/* The records, as many as the head has, if it can be right. */
static const char *read_conns(int fd, uint64_t offset, uint64_t left, struct page *page)
{
	size_t bytes;

	if (page->head.conns_seen > (left - sizeof(page->head)) / sizeof(*page->conns))
		return NULL; /* it is not */
	if (page->head.conns_seen > CONNS_MOST)
		page->head.conns_seen = CONNS_MOST;
	bytes = page->head.conns_seen * sizeof(*page->conns);
	free(page->conns);
	page->conns = malloc(bytes + 1);
	if (!page->conns)
		return "no memory";
	return read_at(fd, page->conns, bytes, offset + sizeof(page->head));
}

static const char *try_page(int fd, uint64_t offset, uint64_t left, struct page *page)
{
	uint32_t before = 0, after = 0;
	const char *wrong = read_sequence(fd, offset, &before);

	if (!wrong)
		wrong = read_at(fd, &page->head, sizeof(page->head), offset);
	if (!wrong)
		wrong = read_conns(fd, offset, left, page);
	if (!wrong)
		wrong = read_sequence(fd, offset, &after);
	if (wrong)
		return wrong;
	if (before % 2 || before != after)
		return unfinished;
	return judge(&page->head, left);
}

static const char *read_page(int fd, uint64_t offset, uint64_t left, struct page *page)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	const char *wrong = unfinished;

	for (int i = 0; i < TRIES && wrong == unfinished; i++) {
		if (i)
			nanosleep(&pause, NULL);
		wrong = try_page(fd, offset, left, page);
	}
	if (wrong)
		return wrong;
	clean_name(page->head.name);
	clean(page->head.ended, page->head.ended_seen);
	clean(page->conns, page->head.conns_seen);
	return NULL;
}

static const char *read_pages(int fd, struct pages *pages)
{
	uint64_t offset = 0, size;
	struct page *list;
	const char *wrong;
	struct stat file;

	if (fstat(fd, &file))
		return strerror(errno);
	size = (uint64_t)file.st_size;
	if (size < sizeof(struct zcreq_page))
		return "it is too short for a page";
	do {
		list = realloc(pages->list, (pages->count + 1) * sizeof(*list));
		if (!list)
			return "no memory";
		pages->list = list;
		list[pages->count] = (struct page){.conns = NULL};
		wrong = read_page(fd, offset, size - offset, &list[pages->count++]);
		if (wrong) { /* those behind it are unwritten, too */
			free(list[--pages->count].conns);
			return wrong == unwritten && pages->count ? NULL : wrong;
		}
		offset += list[pages->count - 1].head.page_bytes;
	} while (size - offset >= sizeof(struct zcreq_page) && pages->count < PAGES_MOST);
	return NULL;
}

const char *pages_read(const char *path, struct pages *pages)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const char *wrong;

	*pages = (struct pages){.count = 0};
	if (fd < 0)
		return strerror(errno);
	wrong = read_pages(fd, pages);
	close(fd);
	if (!wrong && !places_make(pages))
		wrong = "no memory";
	if (wrong)
		pages_free(pages);
	return wrong;
}

void pages_free(struct pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		free(pages->list[i].conns);
	free(pages->list);
	free(pages->conns);
	free(pages->ended);
	*pages = (struct pages){.count = 0};
}
