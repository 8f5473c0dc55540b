/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/sender.h"

const bool engine_is_uring = false;

const char *engine_missing(void)
{
	return NULL;
}

int engine_open(struct load *load, const struct zcreq_stream_options *options)
{
	return zcreq_stream_open(load->context, options, &load->conn);
}

int engine_flush(struct load *load)
{
	return zcreq_flush(load->conn);
}

int engine_fd(const struct load *load)
{
	(void)load;
	return -1;
}

void engine_process(struct load *load)
{
	(void)load;
}

void engine_stop(struct load *load)
{
	(void)load;
}
