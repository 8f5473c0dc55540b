/* SPDX-License-Identifier: BSD-2-Clause */
#include "uring/ring_script.h"

#include <errno.h>
#include <string.h>

#include "support/suite.h"

static struct io_uring_sqe *get_sqe(void *arg)
{
	struct ring_script *script = arg;
	struct io_uring_sqe *sqe = &script->entries[script->made % SCRIPT_ENTRIES];

	if (script->made - script->submitted >= script->room)
		return NULL;
	memset(sqe, 0, sizeof(*sqe));
	script->made++;
	return sqe;
}

static int submit(void *arg)
{
	struct ring_script *script = arg;
	unsigned count = script->made - script->submitted;

	script->submits++;
	if (script->submit_error)
		return script->submit_error;
	script->submitted = script->made;
	return (int)count;
}

static int peek(struct io_uring_cqe *cqe, void *arg)
{
	struct ring_script *script = arg;
	const struct script_completion *found = &script->queue[script->head % SCRIPT_COMPLETIONS];

	if (script->head == script->tail)
		return script->peek_error;
	script->head++;
	cqe->user_data = found->user_data;
	cqe->res = found->res;
	cqe->flags = found->flags;
	return 1;
}

static int run(void *arg)
{
	struct ring_script *script = arg;

	script->runs++;
	if (script->on_run)
		script->on_run(script);
	return 0;
}

static int eventfd(int fd, void *arg)
{
	struct ring_script *script = arg;

	script->fds++;
	script->fd = fd;
	return script->eventfd_error;
}

static int register_buffers(const struct iovec *iov, unsigned count, void *arg)
{
	struct ring_script *script = arg;

	if (script->register_error)
		return script->register_error;
	CLAIM((iov != NULL) == (count != 0));
	script->registered = count;
	return 0;
}

const struct zcreq_uring_ops script_ops = {
	.get_sqe = get_sqe,
	.submit = submit,
	.peek = peek,
	.run = run,
	.eventfd = eventfd,
	.register_buffers = register_buffers,
};

void script_init(struct ring_script *script)
{
	memset(script, 0, sizeof(*script));
	script->room = SCRIPT_ENTRIES;
	script_post(script, 0, -EBADF, 0);
}

struct zcreq_uring_options script_options(struct ring_script *script)
{
	return (struct zcreq_uring_options){
		.size = sizeof(struct zcreq_uring_options),
		.tag = 0x5a,
		.ops = &script_ops,
		.ops_arg = script,
	};
}

struct io_uring_sqe *script_last(struct ring_script *script)
{
	return &script->entries[(script->made - 1) % SCRIPT_ENTRIES];
}

struct io_uring_sqe *script_before_last(struct ring_script *script)
{
	return &script->entries[(script->made - 2) % SCRIPT_ENTRIES];
}

void script_post(struct ring_script *script, uint64_t user_data, int res, unsigned flags)
{
	CLAIM(script->tail - script->head < SCRIPT_COMPLETIONS);
	script->queue[script->tail++ % SCRIPT_COMPLETIONS] = (struct script_completion){
		.user_data = user_data, .res = res, .flags = flags,
	};
}

void script_result(struct ring_script *script, int res, bool more)
{
	script_post(script, script_last(script)->user_data, res, more ? IORING_CQE_F_MORE : 0);
}

void script_notify(struct ring_script *script, uint64_t user_data, bool copied)
{
	script_post(script, user_data, copied ? INT32_MIN : 0, IORING_CQE_F_NOTIF);
}
