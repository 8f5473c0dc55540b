/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * discovery.c - the discovery subsystem: where the other one can be reached
 *
 * Owns: the commands of a discovery controller and the discovery log page.
 * Never: changes while the program runs, so the generation counter stands still
 * and no event is ever sent.
 *
 * A host that may not connect to the other subsystem does not hear of it.
 *
 * A listener on a wildcard address is reported under the address by which the
 * asking host reached us, which is the one it can use.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define PORT_ID 1
#define CNTLID_ANY 0xffff
#define ADMIN_QUEUE_SIZE 32

static bool is_any(const struct sockaddr_storage *address)
{
	static const struct in6_addr any6 = IN6ADDR_ANY_INIT;

	if (address->ss_family == AF_INET)
		return ((const struct sockaddr_in *)address)->sin_addr.s_addr == INADDR_ANY;
	return !memcmp(&((const struct sockaddr_in6 *)address)->sin6_addr, &any6, sizeof(any6));
}

/* Puts the address of @own into a wildcard @address. False if it does not fit. */
static bool fill_any(struct sockaddr_storage *address, const struct sockaddr_storage *own)
{
	if (own->ss_family != address->ss_family)
		return false;
	if (own->ss_family == AF_INET)
		((struct sockaddr_in *)address)->sin_addr =
			((const struct sockaddr_in *)own)->sin_addr;
	else
		((struct sockaddr_in6 *)address)->sin6_addr =
			((const struct sockaddr_in6 *)own)->sin6_addr;
	return true;
}

static void pad(char *field, size_t size)
{
	size_t len = strnlen(field, size);

	memset(field + len, ' ', size - len);
}

static void fill_entry(const struct target *target, const struct sockaddr_storage *address,
		       struct nvmf_disc_log_entry *entry)
{
	entry->trtype = NVMF_TRTYPE_TCP;
	entry->adrfam = address->ss_family == AF_INET ? NVMF_ADDR_FAMILY_IP4
						      : NVMF_ADDR_FAMILY_IP6;
	entry->subtype = NVME_NQN_NVME;
	entry->treq = NVMF_TREQ_NOT_SPECIFIED | NVMF_TREQ_DISABLE_SQFLOW;
	entry->portid = htole16(PORT_ID);
	entry->cntlid = htole16(CNTLID_ANY);
	entry->asqsz = htole16(ADMIN_QUEUE_SIZE);
	address_split(address, entry->traddr, sizeof(entry->traddr), entry->trsvcid,
		      sizeof(entry->trsvcid));
	pad(entry->traddr, sizeof(entry->traddr));
	pad(entry->trsvcid, sizeof(entry->trsvcid));
	memcpy(entry->subnqn, target->options.nqn, strlen(target->options.nqn));
	entry->tsas.tcp.sectype = NVMF_TCP_SECTYPE_NONE;
}

uint8_t *discovery_log(const struct conn *conn, size_t *len)
{
	const struct target *target = conn->target;
	const struct subsystem *subsystem = target->subsystem;
	struct sockaddr_storage own = { .ss_family = AF_UNSPEC }, address;
	socklen_t own_len = sizeof(own);
	struct nvmf_discovery_log *log;
	bool allowed = target_allows(target, conn->ctrl->hostnqn);
	unsigned i, count = 0;

	log = calloc(1, sizeof(*log) + subsystem->address_count * sizeof(log->entries[0]));
	if (!log)
		return NULL;
	getsockname(conn->readable.fd, (struct sockaddr *)&own, &own_len);
	for (i = 0; i < subsystem->address_count && allowed; i++) {
		address = subsystem->addresses[i];
		if (!is_any(&address) || fill_any(&address, &own))
			fill_entry(target, &address, &log->entries[count++]);
	}
	log->genctr = htole64(1);
	log->numrec = htole64(count);
	*len = sizeof(*log) + count * sizeof(log->entries[0]);
	return (uint8_t *)log;
}

const struct command *discovery_command(uint8_t opcode)
{
	static const struct command identify = { identify_check, identify_run, 0, NULL };
	static const struct command log_page = { log_page_check, log_page_run, 0, NULL };
	static const struct command get_features = { get_features_check, get_features_run, 0, NULL };
	static const struct command set_features = { set_features_check, set_features_run, 0, NULL };
	static const struct command keep_alive = { NULL, keep_alive_run, 0, NULL };
	static const struct command async_event = { NULL, async_event_run, 0, NULL };

	switch (opcode) {
	case nvme_admin_identify:
		return &identify;
	case nvme_admin_get_log_page:
		return &log_page;
	case nvme_admin_get_features:
		return &get_features;
	case nvme_admin_set_features:
		return &set_features;
	case nvme_admin_keep_alive:
		return &keep_alive;
	case nvme_admin_async_event:
		return &async_event;
	default:
		return NULL;
	}
}
