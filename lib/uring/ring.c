/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - making a ring, asking the kernel what it can do, and opening streams on it
 */
#include "uring/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/options.h"

#define ENTRIES 256
#define ENTRIES_MOST 32768

/* Each submission can have two completions, and they wait for a turn of the loop. */
#define COMPLETIONS_PER_ENTRY 8

/* liburing's calls, as the library wants them */

static struct io_uring_sqe *liburing_get_sqe(void *arg)
{
	return io_uring_get_sqe(arg);
}

static int liburing_submit(void *arg)
{
	struct io_uring *ring = arg;
	int ret;

	/* a kernel can stop at an entry that it does not like; that one is told. A thread of
	 * the kernel's takes them when it comes to it. */
	do
		ret = io_uring_submit(ring);
	while (ret > 0 && !(ring->flags & IORING_SETUP_SQPOLL) && io_uring_sq_ready(ring));
	return ret;
}

static int liburing_peek(struct io_uring_cqe *cqe, void *arg)
{
	struct io_uring_cqe *found;
	int ret = io_uring_peek_cqe(arg, &found);

	if (ret == -EAGAIN)
		return 0;
	if (ret)
		return ret;
	*cqe = *found;
	io_uring_cqe_seen(arg, found);
	return 1;
}

static int liburing_run(void *arg)
{
	return io_uring_get_events(arg);
}

static int liburing_eventfd(int fd, void *arg)
{
	return io_uring_register_eventfd(arg, fd);
}

static int liburing_register_buffers(const struct iovec *iov, unsigned count, void *arg)
{
	return iov ? io_uring_register_buffers(arg, iov, count) : io_uring_unregister_buffers(arg);
}

static const struct zcreq_uring_ops liburing = {
	.get_sqe = liburing_get_sqe,
	.submit = liburing_submit,
	.peek = liburing_peek,
	.run = liburing_run,
	.eventfd = liburing_eventfd,
	.register_buffers = liburing_register_buffers,
};

/*
 * A ring of the library's own. The kernel is asked not to interrupt the thread for
 * each completion: they are looked for once in a turn.
 */
static int make_ring(struct zcreq_uring *uring, unsigned entries)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = (entries ? entries : ENTRIES) * COMPLETIONS_PER_ENTRY,
	};
	int ret = io_uring_queue_init_params(entries ? entries : ENTRIES, &uring->own, &params);

	if (ret == -EINVAL) /* flags that are older than what is needed here */
		return -EOPNOTSUPP;
	if (!ret)
		uring->ring = &uring->own;
	return ret;
}

/* Does the ring's kernel have the operations? */
static int probe_operations(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	int ret = -EOPNOTSUPP;

	if (!probe)
		return -EOPNOTSUPP;
	if (io_uring_opcode_supported(probe, IORING_OP_SENDMSG_ZC) &&
	    io_uring_opcode_supported(probe, IORING_OP_SEND_ZC))
		ret = 0;
	io_uring_free_probe(probe);
	return ret;
}

/*
 * Does it tell whether it copied after all? There is no other way to ask than to send:
 * to a descriptor that is none, which an old kernel never looks at.
 */
static int probe_usage(struct zcreq_uring *uring)
{
	struct io_uring_sqe *sqe = uring->ops->get_sqe(uring->ops_arg);
	struct io_uring_cqe cqe;
	int ret;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_send_zc(sqe, -1, NULL, 0, 0, RING_REPORT_USAGE);
	sqe->user_data = ring_name(uring, RING_NOBODY, 0);
	ret = uring->ops->submit(uring->ops_arg);
	if (ret < 0)
		return ret;
	ret = uring->ops->peek(&cqe, uring->ops_arg);
	if (ret == 1)
		uring->usage_flag = cqe.res == -EINVAL ? 0 : RING_REPORT_USAGE;
	return ret < 0 ? ret : 0;
}

/* A ring of the program's may have its completions waiting: it is not asked by
 * sending. Linux 6.2 is where the flag came, and 6.3 where this feature bit did. */
#define FEATURE_AFTER_USAGE (1u << 13)

static int set_up(struct zcreq_uring *uring, const struct zcreq_uring_options *o)
{
	int ret;

	if (o->ops) {
		uring->ops = o->ops;
		uring->ops_arg = o->ops_arg;
		return probe_usage(uring);
	}
	uring->ops = &liburing;
	if (o->ring) {
		uring->ring = o->ring;
		uring->ops_arg = o->ring;
		if (o->ring->features & FEATURE_AFTER_USAGE)
			uring->usage_flag = RING_REPORT_USAGE;
		return probe_operations(o->ring);
	}
	ret = make_ring(uring, o->entries);
	if (ret)
		return ret;
	uring->ops_arg = uring->ring;
	ret = probe_operations(uring->ring);
	if (!ret)
		ret = probe_usage(uring);
	if (ret)
		io_uring_queue_exit(&uring->own);
	return ret;
}

static int check_options(const struct zcreq_uring_options *o)
{
	const struct zcreq_uring_ops *ops = o->ops;

	if (o->entries > ENTRIES_MOST)
		return -EINVAL;
	if (!ops)
		return 0;
	if (o->ring || !ops->get_sqe || !ops->submit || !ops->peek || !ops->run ||
	    !ops->eventfd || !ops->register_buffers || !ZCREQ_UNUSED(ops))
		return -EINVAL;
	return 0;
}

/*
 * A source's descriptor. Each completion makes it readable: the kernel posts to it. A ring
 * of the program's has the program's own way of waiting.
 */
static int ring_fd(void *arg)
{
	struct zcreq_uring *uring = arg;
	int fd, ret;

	if (uring->ring && uring->ring != &uring->own)
		return -ENXIO;
	if (uring->eventfd >= 0)
		return uring->eventfd;
	/* readable at first: of what completed before, it would never tell */
	fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = uring->ops->eventfd(fd, uring->ops_arg);
	if (ret) {
		close(fd);
		return ret;
	}
	return uring->eventfd = fd;
}

/* What set_up() has made. */
static void take_down(struct zcreq_uring *uring)
{
	if (uring->ring == &uring->own)
		io_uring_queue_exit(&uring->own);
	if (uring->eventfd >= 0)
		close(uring->eventfd);
}

int zcreq_uring_new(struct zcreq_context *context, const struct zcreq_uring_options *options,
		    struct zcreq_uring **out)
{
	struct zcreq_uring_options o = {.size = sizeof(o)};
	struct zcreq_uring *uring;
	int ret = 0;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!context)
		return -EINVAL;
	if (options)
		ret = zcreq_options_copy(&o, options, sizeof(o), 0);
	if (!ret)
		ret = check_options(&o);
	if (ret)
		return ret;
	uring = calloc(1, sizeof(*uring));
	if (!uring)
		return -ENOMEM;
	uring->context = context;
	uring->tag = o.tag;
	uring->eventfd = -1;
	uring->work = RING_RESTS;
	uring->source = (struct zcreq_source){
		.turn = zcreq_ring_turn, .fd = ring_fd, .arg = uring,
	};
	ret = set_up(uring, &o);
	if (!ret) {
		ret = zcreq_source_add(context, &uring->source);
		if (ret)
			take_down(uring);
	}
	if (ret) {
		free(uring);
		return ret;
	}
	*out = uring;
	return 0;
}

int zcreq_uring_free(struct zcreq_uring *uring)
{
	struct ring_message *message;

	if (!uring)
		return 0;
	if (uring->count || ring_at_work(uring))
		return -EBUSY;
	if (uring->buffer_count)
		zcreq_uring_unregister(uring);
	zcreq_source_remove(uring->context, &uring->source);
	take_down(uring);
	while ((message = uring->free_messages)) {
		uring->free_messages = message->next_free;
		free(message);
	}
	free(uring->streams);
	free(uring);
	return 0;
}

/* A free number of the table, from the last one on so that none comes back soon. */
static int take_number(struct zcreq_uring *uring, uint32_t *number)
{
	uint32_t capacity = uring->capacity;
	struct ring_stream **grown;

	if (uring->count == capacity) {
		if (capacity >= RING_STREAMS_MOST / 2)
			return -ENOSPC;
		capacity = capacity ? capacity * 2 : 16;
		grown = realloc(uring->streams, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + uring->capacity, 0,
		       (capacity - uring->capacity) * sizeof(*grown));
		uring->next_number = uring->capacity;
		uring->streams = grown;
		uring->capacity = capacity;
	}
	while (uring->streams[uring->next_number % capacity])
		uring->next_number++;
	*number = uring->next_number++ % capacity;
	return 0;
}

int zcreq_uring_stream_open(struct zcreq_uring *uring, struct zcreq_context *context,
			    const struct zcreq_stream_options *options,
			    struct zcreq_conn **conn)
{
	struct zcreq_stream_options o;
	struct ring_stream *stream;
	int ret;

	if (!options)
		return -EINVAL;
	/* which flags there are is for zcreq_stream_open() to say */
	ret = zcreq_options_copy(&o, options, sizeof(o), UINT32_MAX);
	if (ret)
		return ret;
	if (o.sender || (uring && context != uring->context))
		return -EINVAL;
	if (!uring)
		return zcreq_stream_open(context, &o, conn);
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return -ENOMEM;
	stream->uring = uring;
	stream->first = stream->last = -1;
	ret = take_number(uring, &stream->number);
	o.sender = &zcreq_ring_sender;
	o.sender_arg = stream;
	o.size = sizeof(o);
	if (!ret)
		ret = zcreq_stream_open(context, &o, conn);
	if (ret) {
		free(stream);
		return ret;
	}
	stream->conn = *conn;
	uring->streams[stream->number] = stream;
	uring->count++;
	return 0;
}
