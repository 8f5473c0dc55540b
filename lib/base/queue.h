/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h - linked lists inside structs, with the names of <sys/queue.h>
 *
 * musl has no <sys/queue.h>. This has what the library uses of it, with the same meaning:
 * LIST may remove anywhere and has no tail, STAILQ has a tail and is taken from its head,
 * TAILQ can do both.
 */
#ifndef ZCREQ_LIB_QUEUE_H
#define ZCREQ_LIB_QUEUE_H

#include <stddef.h>

/* ---- LIST ---- */

#define LIST_HEAD(name, type) \
	struct name { \
		struct type *lh_first; \
	}
#define LIST_ENTRY(type) \
	struct { \
		struct type *le_next, **le_prev; \
	}
#define LIST_FIRST(head) ((head)->lh_first)
#define LIST_NEXT(it, field) ((it)->field.le_next)
#define LIST_FOREACH(var, head, field) \
	for ((var) = LIST_FIRST(head); (var); (var) = LIST_NEXT(var, field))
#define LIST_INSERT_HEAD(head, it, field) do { \
	if (((it)->field.le_next = (head)->lh_first) != NULL) \
		(head)->lh_first->field.le_prev = &(it)->field.le_next; \
	(head)->lh_first = (it); \
	(it)->field.le_prev = &(head)->lh_first; \
} while (0)
#define LIST_REMOVE(it, field) do { \
	if ((it)->field.le_next != NULL) \
		(it)->field.le_next->field.le_prev = (it)->field.le_prev; \
	*(it)->field.le_prev = (it)->field.le_next; \
} while (0)

/* ---- STAILQ ---- */

#define STAILQ_HEAD(name, type) \
	struct name { \
		struct type *stqh_first, **stqh_last; \
	}
#define STAILQ_ENTRY(type) \
	struct { \
		struct type *stqe_next; \
	}
#define STAILQ_INIT(head) do { \
	(head)->stqh_first = NULL; \
	(head)->stqh_last = &(head)->stqh_first; \
} while (0)
#define STAILQ_FIRST(head) ((head)->stqh_first)
#define STAILQ_EMPTY(head) ((head)->stqh_first == NULL)
#define STAILQ_FOREACH(var, head, field) \
	for ((var) = STAILQ_FIRST(head); (var); (var) = (var)->field.stqe_next)
#define STAILQ_INSERT_TAIL(head, it, field) do { \
	(it)->field.stqe_next = NULL; \
	*(head)->stqh_last = (it); \
	(head)->stqh_last = &(it)->field.stqe_next; \
} while (0)
#define STAILQ_REMOVE_HEAD(head, field) do { \
	if (((head)->stqh_first = (head)->stqh_first->field.stqe_next) == NULL) \
		(head)->stqh_last = &(head)->stqh_first; \
} while (0)

/* ---- TAILQ ---- */

#define TAILQ_HEAD(name, type) \
	struct name { \
		struct type *tqh_first, **tqh_last; \
	}
#define TAILQ_HEAD_INITIALIZER(head) { NULL, &(head).tqh_first }
#define TAILQ_ENTRY(type) \
	struct { \
		struct type *tqe_next, **tqe_prev; \
	}
#define TAILQ_INIT(head) do { \
	(head)->tqh_first = NULL; \
	(head)->tqh_last = &(head)->tqh_first; \
} while (0)
#define TAILQ_FIRST(head) ((head)->tqh_first)
#define TAILQ_EMPTY(head) ((head)->tqh_first == NULL)
#define TAILQ_NEXT(it, field) ((it)->field.tqe_next)
#define TAILQ_FOREACH(var, head, field) \
	for ((var) = TAILQ_FIRST(head); (var); (var) = TAILQ_NEXT(var, field))
#define TAILQ_INSERT_TAIL(head, it, field) do { \
	(it)->field.tqe_next = NULL; \
	(it)->field.tqe_prev = (head)->tqh_last; \
	*(head)->tqh_last = (it); \
	(head)->tqh_last = &(it)->field.tqe_next; \
} while (0)
#define TAILQ_REMOVE(head, it, field) do { \
	if ((it)->field.tqe_next != NULL) \
		(it)->field.tqe_next->field.tqe_prev = (it)->field.tqe_prev; \
	else \
		(head)->tqh_last = (it)->field.tqe_prev; \
	*(it)->field.tqe_prev = (it)->field.tqe_next; \
} while (0)

#endif
