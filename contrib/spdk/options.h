/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * options.h - what SPDK's users have set, for the module and for one socket
 */
#ifndef ZCREQ_SPDK_OPTIONS_H
#define ZCREQ_SPDK_OPTIONS_H

#include <spdk/sock.h>

/* Those of @opts if it has some, else the module's. */
void options_of(const struct spdk_sock_opts *opts, struct spdk_sock_impl_opts *result);

int options_get(struct spdk_sock_impl_opts *opts, size_t *len);
int options_set(const struct spdk_sock_impl_opts *opts, size_t len);

#endif
