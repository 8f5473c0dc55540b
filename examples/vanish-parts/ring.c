/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - an io_uring for way 7; every function takes a NULL ring for none */
#include <zcreq/uring.h>

#include "vanish.h"

static struct zcreq_uring *uring_of(struct ring *ring)
{
	return (struct zcreq_uring *)ring;
}

int ring_open(struct zcreq_context *context, struct ring **ring)
{
	struct zcreq_uring *uring;
	int r = zcreq_uring_new(context, NULL, &uring);

	*ring = (struct ring *)uring;
	return r;
}

int ring_stream_open(struct ring *ring, struct zcreq_context *context,
		     const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	return zcreq_uring_stream_open(uring_of(ring), context, options, conn);
}

int ring_close(struct ring *ring)
{
	return zcreq_uring_free(uring_of(ring));
}
