/* SPDX-License-Identifier: BSD-2-Clause */
/* no_ring.c - built without liburing: there is no way 7 */
#include <errno.h>

#include <zcreq/zcreq.h>

#include "vanish.h"

int ring_open(struct zcreq_context *context, struct ring **ring)
{
	(void)context;
	*ring = NULL;
	return -ENOSYS;
}

int ring_stream_open(struct ring *ring, struct zcreq_context *context,
		     const struct zcreq_stream_options *options, struct zcreq_conn **conn)
{
	(void)ring;
	return zcreq_stream_open(context, options, conn);
}

int ring_close(struct ring *ring)
{
	(void)ring;
	return 0;
}
