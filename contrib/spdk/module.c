/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * module.c - the table of functions, the options, and what there is to ask of a socket
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"
#include "options.h"

static struct spdk_sock_impl_opts options = {
	.recv_buf_size = DEFAULT_SO_RCVBUF_SIZE,
	.send_buf_size = DEFAULT_SO_SNDBUF_SIZE,
	.enable_recv_pipe = true,
	.enable_zerocopy_send_server = true,
};

static void take(struct spdk_sock_impl_opts *result, const struct spdk_sock_impl_opts *opts,
		 size_t len)
{
	memcpy(result, opts, len < sizeof(*result) ? len : sizeof(*result));
	result->psk_key = NULL; /* there is no TLS here, and nothing to keep of it */
	result->psk_identity = NULL;
	result->get_key = NULL;
	result->get_key_ctx = NULL;
	result->tls_cipher_suites = NULL;
}

void options_of(const struct spdk_sock_opts *opts, struct spdk_sock_impl_opts *result)
{
	*result = options;
	if (opts->impl_opts)
		take(result, opts->impl_opts, opts->impl_opts_size);
}

int options_get(struct spdk_sock_impl_opts *opts, size_t *len)
{
	if (!opts || !len)
		return -EINVAL;
	if (*len > sizeof(options))
		*len = sizeof(options);
	memcpy(opts, &options, *len);
	return 0;
}

int options_set(const struct spdk_sock_impl_opts *opts, size_t len)
{
	if (!opts)
		return -EINVAL;
	take(&options, opts, len);
	return 0;
}

static int address(const struct sockaddr_storage *from, char *text, int len, uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	const bool is_v4 = from->ss_family == AF_INET;

	if (!is_v4 && from->ss_family != AF_INET6)
		return -ENOTCONN;
	if (port)
		*port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
	if (text && !inet_ntop(from->ss_family,
			       is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, text,
			       (socklen_t)len))
		return -errno;
	return 0;
}

static int getaddr(struct spdk_sock *base, char *here, int here_len, uint16_t *here_port,
		   char *there, int there_len, uint16_t *there_port)
{
	struct zsock *sock = to_zsock(base);
	int ret = address(&sock->here, here, here_len, here_port);

	if (ret || sock->phase == ZSOCK_LISTENING)
		return ret;
	return address(&sock->there, there, there_len, there_port);
}

static bool is_ipv4(struct spdk_sock *base)
{
	return to_zsock(base)->here.ss_family == AF_INET;
}

static bool is_ipv6(struct spdk_sock *base)
{
	return to_zsock(base)->here.ss_family == AF_INET6;
}

static int set_option(struct zsock *sock, int option, int value)
{
	int fd = sock->life ? zcreq_stream_fd(sock->life->conn) : sock->fd;

	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) ? -errno : 0;
}

static int set_recvlowat(struct spdk_sock *base, int bytes)
{
	return set_option(to_zsock(base), SO_RCVLOWAT, bytes);
}

static int set_sendbuf(struct spdk_sock *base, int bytes)
{
	uint32_t least = base->impl_opts.send_buf_size;

	return set_option(to_zsock(base), SO_SNDBUF,
			  bytes < (int)least ? (int)least : bytes);
}

/* Of what is read ahead, too. 0 is nothing; what was read stays. */
static int set_recvbuf(struct spdk_sock *base, int bytes)
{
	struct zsock *sock = to_zsock(base);
	uint32_t least = base->impl_opts.recv_buf_size;
	char *buffer = NULL;

	if (bytes < 0)
		return -EINVAL;
	if (!sock->count && base->impl_opts.enable_recv_pipe) {
		if (bytes && bytes < MIN_SOCK_PIPE_SIZE)
			bytes = MIN_SOCK_PIPE_SIZE;
		buffer = bytes ? malloc((size_t)bytes) : NULL;
		if (bytes && !buffer)
			return -ENOMEM;
		free(sock->buffer);
		sock->buffer = buffer;
		sock->buffer_bytes = (size_t)bytes;
	}
	return set_option(sock, SO_RCVBUF, bytes < (int)least ? (int)least : bytes);
}

static struct spdk_net_impl table = {
	.name = "zcreq",
	.getaddr = getaddr,
	.connect = zsock_connect,
	.connect_async = zsock_connect_async,
	.listen = zsock_listen,
	.accept = zsock_accept,
	.close = zsock_close,
	.recv = zsock_recv,
	.readv = zsock_readv,
	.writev = zsock_writev,
	.recv_next = zsock_recv_next,
	.writev_async = zsock_writev_async,
	.flush = zsock_flush,
	.set_recvlowat = set_recvlowat,
	.set_recvbuf = set_recvbuf,
	.set_sendbuf = set_sendbuf,
	.is_ipv6 = is_ipv6,
	.is_ipv4 = is_ipv4,
	.is_connected = zsock_is_connected,
	.group_impl_get_optimal = zgroup_optimal,
	.group_impl_create = zgroup_create,
	.group_impl_add_sock = zgroup_add,
	.group_impl_remove_sock = zgroup_remove,
	.group_impl_poll = zgroup_poll,
	.group_impl_close = zgroup_close,
	.get_opts = options_get,
	.set_opts = options_set,
};

static void setting(const char *name, uint32_t *value)
{
	const char *text = getenv(name);

	if (text && *text)
		*value = (uint32_t)strtoul(text, NULL, 10);
}

static void __attribute__((constructor)) register_module(void)
{
	const char *mode = getenv("ZCREQ_SPDK_MODE"), *detach = getenv("ZCREQ_SPDK_DETACH");

	setting("ZCREQ_SPDK_STALL_MS", &zsettings.stall_ms);
	setting("ZCREQ_SPDK_LINGER_MS", &zsettings.linger_ms);
	setting("ZCREQ_SPDK_CLOSE_MS", &zsettings.close_ms);
	if (mode && strcmp(mode, "always") == 0)
		zsettings.mode = ZCREQ_MODE_ALWAYS;
	zsettings.detach = detach && *detach == '1';
	spdk_net_impl_register(&table);
	if (getenv("ZCREQ_SPDK_DEFAULT"))
		spdk_sock_set_default_impl(table.name);
}
