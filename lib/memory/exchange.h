/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange.h - other pages under the same addresses
 *
 * New pages are made somewhere else, get the content of the old ones, and are moved over
 * them by mremap(2). So whoever reads sees the same bytes before, during and after it, and
 * a failure before the move changes nothing. (Dropping the pages with MADV_DONTNEED and
 * writing the content back would be a call less, leave one mapping as it is, and show zeros
 * to other threads in between.)
 *
 * Everything is known and made before the first move.
 */
#ifndef ZCREQ_LIB_EXCHANGE_H
#define ZCREQ_LIB_EXCHANGE_H

#include <sys/uio.h>

#include "core/core.h"

/* As exchange() in struct zcreq_memory_ops; of memory of the context's pools nobody asks
 * what it is. */
int zcreq_exchange(struct zcreq_context *context, const struct iovec *lent, int count,
		   unsigned flags);

#endif
