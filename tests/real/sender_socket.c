/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/sender.h"

const bool sender_is_uring = false;

const char *sender_missing(void)
{
	return NULL;
}

int sender_open(struct load *load, const struct zcreq_stream_options *options)
{
	return zcreq_stream_open(load->context, options, &load->conn);
}

int sender_fd(const struct load *load)
{
	(void)load;
	return -1;
}

void sender_process(struct load *load)
{
	(void)load;
}

void sender_stop(struct load *load)
{
	(void)load;
}
