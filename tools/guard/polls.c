/* SPDX-License-Identifier: BSD-2-Clause */
#include "polls.h"

#include <sys/epoll.h>

#include "pool.h"
#include "report.h"

/* Epoll sets that have registrations of sockets that are watched. */
#define SETS_MOST 256

static int sets[SETS_MOST];
static unsigned set_count;

static void say(struct watched *socket, int one, int other, const char *how)
{
	if (socket->said & SAID_POLLS || !socket->sends)
		return;
	socket->said |= SAID_POLLS;
	report("one socket is waited for through two descriptors",
	       "descriptors %d and %d are duplicates, %s: each notification wakes both, and a "
	       "registration outlives the close of its descriptor", one, other, how);
}

void polls_judge(struct watched *socket)
{
	const struct registration *first = socket->registrations, *other;

	if (!guard_options.polls || !first)
		return;
	for (other = first->next; other; other = other->next) {
		if (other->fd != first->fd)
			say(socket, first->fd, other->fd,
			    other->epoll == first->epoll ? "registered in one epoll set"
							 : "registered in two epoll sets");
	}
}

static void know_set(int epoll)
{
	for (unsigned i = 0; i < set_count; i++) {
		if (sets[i] == epoll)
			return;
	}
	if (set_count < SETS_MOST)
		sets[set_count++] = epoll;
}

/* Drops the registrations of one set, and of one descriptor unless that is -1. */
static void drop(struct watched *socket, int epoll, int fd)
{
	struct registration **at = &socket->registrations;

	while (*at) {
		struct registration *gone = *at;

		if (gone->epoll == epoll && (fd < 0 || gone->fd == fd)) {
			*at = gone->next;
			zcreq_free(&pool, gone);
		} else {
			at = &gone->next;
		}
	}
}

void polls_changed(int epoll, int operation, int fd)
{
	struct registration *made;
	struct watched *socket;

	if (operation == EPOLL_CTL_MOD || !guard_options.polls || !watch_enter())
		return;
	socket = watch_find(fd);
	if (socket && operation == EPOLL_CTL_DEL)
		drop(socket, epoll, fd);
	made = socket && operation == EPOLL_CTL_ADD ? zcreq_calloc(&pool, 1, sizeof(*made)) : NULL;
	if (made) {
		know_set(epoll);
		made->epoll = epoll;
		made->fd = fd;
		made->next = socket->registrations;
		socket->registrations = made;
		polls_judge(socket);
	}
	watch_leave();
}

/* Pairs among what one call waits for; few programs have a duplicate at all. */
void polls_polled(const struct pollfd *fds, nfds_t count)
{
	if (!guard_options.polls || count < 2 || !watch_enter())
		return;
	for (nfds_t i = 0; i < count; i++) {
		struct watched *socket = watch_at(fds[i].fd);

		if (!socket || socket->descriptors < 2 || !socket->sends)
			continue;
		for (nfds_t j = i + 1; j < count; j++) {
			if (fds[j].fd != fds[i].fd && watch_at(fds[j].fd) == socket &&
			    watch_find(fds[i].fd) == socket && watch_find(fds[j].fd) == socket)
				say(socket, fds[i].fd, fds[j].fd, "given to one poll(2)");
		}
	}
	watch_leave();
}

void polls_forget(struct watched *socket)
{
	while (socket->registrations)
		drop(socket, socket->registrations->epoll, -1);
}

void polls_closing(int fd)
{
	unsigned i = 0;

	while (i < set_count && sets[i] != fd)
		i++;
	if (i == set_count)
		return;
	sets[i] = sets[--set_count];
	for (int other = 0; other < watch_descriptors(); other++) {
		struct watched *socket = watch_at(other);

		if (socket)
			drop(socket, fd, -1);
	}
}
