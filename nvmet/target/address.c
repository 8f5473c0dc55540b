/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * address.c - socket addresses as text, and the lines that the program prints
 *
 * Owns: the form "127.0.0.1:4420", "[::1]:4420". Never: asks a name server.
 */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "target.h"

void address_split(const struct sockaddr_storage *address, char *host, size_t host_size,
		   char *port, size_t port_size)
{
	socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						       : sizeof(struct sockaddr_in);

	if (getnameinfo((const struct sockaddr *)address, len, host, (socklen_t)host_size, port,
			(socklen_t)port_size, NI_NUMERICHOST | NI_NUMERICSERV)) {
		strcpy(host, "?");
		strcpy(port, "?");
	}
}

void address_format(const struct sockaddr_storage *address, char *text)
{
	char host[48], port[8];

	address_split(address, host, sizeof(host), port, sizeof(port));
	snprintf(text, ADDRESS_MAX, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
		 port);
}

int address_parse(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				  .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[ADDRESS_MAX];
	size_t host_len;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -EINVAL;
	host_len = (size_t)(colon - text);
	if (host_len >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		host_len -= 2;
	} else if (memchr(text, ':', host_len)) {
		return -EINVAL; /* an IPv6 address without its brackets */
	}
	memcpy(host, text, host_len);
	host[host_len] = 0;
	if (getaddrinfo(host, colon + 1, &hints, &found))
		return -EINVAL;
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

void say(const char *format, ...)
{
	va_list arguments;

	flockfile(stdout); /* a line is one thread's */
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	funlockfile(stdout);
}
