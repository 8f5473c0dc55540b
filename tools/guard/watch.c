/* SPDX-License-Identifier: BSD-2-Clause */
#include "watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "polls.h"
#include "pool.h"
#include "report.h"

/* Descriptors above are not watched. */
#define DESCRIPTORS_MOST (1 << 20)
#define DESCRIPTORS_LEAST 1024

/* A byte for each socket that a child may have used; numbers are used again. */
#define SLOTS 65536

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t unblocked; /* of whoever has the lock */
static int saved_errno;    /* the same */
static pid_t process;      /* 0: nothing is watched */
static struct watched **table;
static int capacity;
static _Atomic unsigned char *used_by_child;
static uint32_t next_slot;
static bool forking;       /* locked, for the time of a fork */

bool watch_enter(void)
{
	int saved = errno;
	sigset_t all, before;

	/* after vfork(2) or a bare clone(2) memory is a stranger's */
	if (!process || getpid() != process)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_mutex_lock(&mutex);
	unblocked = before;
	saved_errno = saved;
	return true;
}

void watch_leave(void)
{
	sigset_t before = unblocked;
	int saved = saved_errno;
	bool halt = report_halts();

	pthread_mutex_unlock(&mutex);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (halt)
		abort();
	errno = saved;
}

/* ---- descriptors ---- */

int watch_descriptors(void)
{
	return capacity;
}

struct watched *watch_at(int fd)
{
	return fd >= 0 && fd < capacity ? table[fd] : NULL;
}

void watch_put(struct watched *socket)
{
	if (socket->descriptors || socket->calls)
		return;
	judge_lost(socket);
	polls_forget(socket);
	zcreq_free(&pool, socket->ids.batches);
	zcreq_free(&pool, socket->sent);
	zcreq_free(&pool, socket);
}

/* The number no longer names it. */
static void unbind(int fd)
{
	struct watched *socket = watch_at(fd);

	if (!socket)
		return;
	table[fd] = NULL;
	socket->descriptors--;
	watch_put(socket);
}

/* Makes room for a descriptor in the table. */
static bool reach(int fd)
{
	int wanted = capacity ? capacity : DESCRIPTORS_LEAST;
	struct watched **grown;

	if (fd < 0 || fd >= DESCRIPTORS_MOST)
		return false;
	if (fd < capacity)
		return true;
	while (wanted <= fd)
		wanted *= 2;
	grown = zcreq_calloc(&pool, wanted, sizeof(*grown));
	if (!grown)
		return false;
	if (table)
		memcpy(grown, table, capacity * sizeof(*grown));
	zcreq_free(&pool, table);
	table = grown;
	capacity = wanted;
	return true;
}

static void bind_to(int fd, struct watched *socket)
{
	unbind(fd);
	if (!reach(fd))
		return;
	table[fd] = socket;
	socket->descriptors++;
}

struct watched *watch_find(int fd)
{
	struct watched *socket = watch_at(fd);
	struct stat now;

	if (!socket)
		return NULL;
	/* closed where nobody saw it, and perhaps opened again */
	if (fstat(fd, &now) || now.st_dev != socket->device || now.st_ino != socket->inode) {
		unbind(fd);
		return NULL;
	}
	if (socket->trust == TRUST_SHARED && used_by_child[socket->slot])
		judge_lost(socket);
	return socket;
}

void watch_used(struct watched *socket)
{
	if (socket->trust == TRUST_INHERITED)
		used_by_child[socket->slot] = 1;
}

/* Only TCP has ids that are known to count accepted calls. */
static bool is_tcp(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       (domain == AF_INET || domain == AF_INET6) && protocol == IPPROTO_TCP;
}

void watch_born(int fd)
{
	struct watched *socket;
	struct stat now;

	if (fd < 0 || !watch_enter())
		return;
	unbind(fd);
	socket = is_tcp(fd) && !fstat(fd, &now) ? zcreq_calloc(&pool, 1, sizeof(*socket)) : NULL;
	if (socket) {
		socket->device = now.st_dev;
		socket->inode = now.st_ino;
		socket->trust = TRUST_ALL;
		socket->overlap = OVERLAP_NONE;
		socket->slot = next_slot++ % SLOTS;
		socket->sent_mask = UINT32_MAX;
		used_by_child[socket->slot] = 0;
		zcreq_ids_init(&socket->ids, 0);
		bind_to(fd, socket);
		watch_put(socket);
	}
	watch_leave();
}

void watch_duplicated(int from, int to)
{
	struct watched *socket;

	if (from == to || to < 0 || !watch_enter())
		return;
	socket = watch_find(from);
	if (socket)
		bind_to(to, socket);
	else
		unbind(to);
	watch_leave();
}

static void closing(int fd)
{
	struct watched *socket = watch_find(fd);

	polls_closing(fd);
	if (socket && socket->descriptors == 1)
		judge_end(socket, fd, true);
	unbind(fd);
}

void watch_closing(int fd)
{
	if (fd < 0 || !watch_enter())
		return;
	closing(fd);
	watch_leave();
}

void watch_closing_range(unsigned first, unsigned last)
{
	if (!watch_enter())
		return;
	for (unsigned fd = first; fd < (unsigned)capacity && fd <= last; fd++)
		closing(fd);
	watch_leave();
}

void watch_given(const struct msghdr *message)
{
	char control[1024];
	struct msghdr header;

	/* the caller's pointers are the kernel's to refuse */
	if (zcreq_checksum_peek(&header, message, sizeof(header)) < sizeof(header) ||
	    !header.msg_controllen || header.msg_controllen > sizeof(control) ||
	    zcreq_checksum_peek(control, header.msg_control, header.msg_controllen) <
		    header.msg_controllen ||
	    !watch_enter())
		return;
	header.msg_control = control;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header); cmsg;
	     cmsg = CMSG_NXTHDR(&header, cmsg)) {
		size_t there = control + header.msg_controllen - (char *)cmsg;

		if (cmsg->cmsg_len > there)
			break; /* glibc 2.31 finds it again as the next one, if its length is enormous */
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= cmsg->cmsg_len; at += sizeof(int)) {
			struct watched *socket;
			int fd;

			memcpy(&fd, (char *)cmsg + at, sizeof(fd));
			socket = watch_find(fd);
			if (!socket)
				continue;
			/* whoever gets it is not a child, and has no page to say so */
			watch_used(socket);
			judge_lost(socket);
		}
	}
	watch_leave();
}

/* ---- processes ---- */

static void before_fork(void)
{
	struct watched *socket;

	if (!watch_enter())
		return;
	forking = true;
	for (int fd = 0; fd < capacity; fd++) {
		socket = table[fd];
		if (socket && socket->trust == TRUST_ALL)
			socket->trust = TRUST_SHARED;
	}
}

static void in_parent(void)
{
	if (forking) {
		forking = false;
		watch_leave();
	}
}

/* What is known is the parent's, and what the child does with it is for it to know. */
static void in_child(void)
{
	if (!forking)
		return;
	forking = false;
	process = getpid();
	report_forget();
	for (int fd = 0; fd < capacity; fd++) {
		if (!table[fd] || table[fd]->trust == TRUST_INHERITED)
			continue;
		judge_lost(table[fd]);
		table[fd]->trust = TRUST_INHERITED;
		table[fd]->calls = 0;
	}
	watch_leave();
}

void watch_exit(void)
{
	if (!watch_enter())
		return;
	for (int fd = 0; fd < capacity; fd++) {
		struct watched *socket = watch_find(fd);

		if (socket)
			judge_end(socket, fd, false);
	}
	watch_leave();
}

void watch_init(void)
{
	void *shared = mmap(NULL, SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret = zcreq_checksum_possible();

	if (ret || shared == MAP_FAILED || pthread_atfork(before_fork, in_parent, in_child)) {
		report_note("cannot watch this process: %s", strerror(ret ? -ret : errno));
		return;
	}
	used_by_child = shared;
	process = getpid();
}
