/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * printed_ev.h - what the text in include/zcreq/ev.h finds around it
 */
#ifndef ZCREQ_TESTS_PRINTED_EV_H
#define ZCREQ_TESTS_PRINTED_EV_H

#include <ev.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

extern struct zcreq_ev *ev;

void printed_ev(struct ev_loop *loop, struct zcreq_context *context,
		struct zcreq_stream_options options, struct zcreq_conn *conn);
#define PRINTED_EV \
	void printed_ev(struct ev_loop *loop, struct zcreq_context *context, \
			struct zcreq_stream_options options, struct zcreq_conn *conn)

#endif
