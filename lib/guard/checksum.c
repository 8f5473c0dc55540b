/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/checksum.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ZCREQ_CHECKSUM_BLOCK

/* Read in one call, to the stack, which may be a small one; a multiple of a block. */
#define CHUNK 4096

size_t zcreq_checksum_peek(void *to, const void *from, size_t len)
{
	struct iovec local = {to, len}, remote = {(void *)from, len};
	int saved = errno;
	ssize_t ret = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	errno = saved;
	return ret < 0 ? 0 : (size_t)ret;
}

int zcreq_checksum_possible(void)
{
	char from = 1, to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};
	int saved = errno, ret = 0;

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1)
		ret = -errno;
	errno = saved;
	return ret;
}

/* Each step is one to one in the word, so that one changed word cannot hide. */
static uint64_t sum_block(const char *block, size_t len)
{
	uint64_t sum = len, word;

	for (; len >= sizeof(word); block += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, block, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}
	if (len) {
		word = 0;
		memcpy(&word, block, len);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}
	return sum ? sum : 1;
}

static size_t blocks_of(size_t len)
{
	return len / BLOCK + (len % BLOCK != 0);
}

/* Sums of up to a chunk of memory; blocks that cannot be read are 0. */
static void sum_chunk(const char *from, size_t len, uint64_t *sums)
{
	char copy[CHUNK];
	bool whole = zcreq_checksum_peek(copy, from, len) == len;

	for (size_t at = 0; at < len; at += BLOCK) {
		size_t part = len - at < BLOCK ? len - at : BLOCK;

		if (whole || zcreq_checksum_peek(copy + at, from + at, part) == part)
			*sums++ = sum_block(copy + at, part);
		else
			*sums++ = 0;
	}
}

static size_t chunk_at(const struct iovec *iov, size_t at)
{
	return iov->iov_len - at < CHUNK ? iov->iov_len - at : CHUNK;
}

size_t zcreq_checksum_size(const struct iovec *iov, uint32_t iovcnt)
{
	size_t blocks = 0;

	for (uint32_t i = 0; i < iovcnt; i++)
		blocks += blocks_of(iov[i].iov_len);
	return sizeof(struct zcreq_checksum) + iovcnt * sizeof(*iov) + blocks * sizeof(uint64_t);
}

void zcreq_checksum_take(struct zcreq_checksum *sum, const struct iovec *iov, uint32_t iovcnt)
{
	uint64_t *sums;

	sum->iovcnt = iovcnt;
	sum->total_bytes = 0;
	sum->iov = (struct iovec *)(sum + 1);
	sum->sums = sums = (uint64_t *)(sum->iov + iovcnt);
	memcpy(sum->iov, iov, iovcnt * sizeof(*iov));
	for (uint32_t i = 0; i < iovcnt; i++) {
		sum->total_bytes += iov[i].iov_len;
		for (size_t at = 0; at < iov[i].iov_len; at += CHUNK) {
			size_t part = chunk_at(&iov[i], at);

			sum_chunk((const char *)iov[i].iov_base + at, part, sums);
			sums += blocks_of(part);
		}
	}
}

void zcreq_checksum_cut(struct zcreq_checksum *sum, uint64_t bytes)
{
	uint64_t *sums = sum->sums, left = bytes;
	uint32_t i;

	if (bytes >= sum->total_bytes)
		return;
	sum->total_bytes = bytes;
	for (i = 0; left; i++) {
		struct iovec *iov = &sum->iov[i];
		size_t whole = (size_t)(left / BLOCK * BLOCK);

		if (left < iov->iov_len) {
			iov->iov_len = (size_t)left;
			if (left % BLOCK)
				sum_chunk((const char *)iov->iov_base + whole, left % BLOCK,
					  sums + left / BLOCK);
		}
		left -= iov->iov_len;
		sums += blocks_of(iov->iov_len);
	}
	sum->iovcnt = i;
}

/* One block: what its sum was, and what it is. */
static enum zcreq_checksum_verdict judge(uint64_t was, uint64_t is)
{
	if (!was || was == is)
		return ZCREQ_CHECKSUM_SAME;
	return is ? ZCREQ_CHECKSUM_CHANGED : ZCREQ_CHECKSUM_UNREADABLE;
}

enum zcreq_checksum_verdict zcreq_checksum_compare(const struct zcreq_checksum *sum,
						   struct zcreq_checksum_difference *difference)
{
	enum zcreq_checksum_verdict found = ZCREQ_CHECKSUM_SAME;
	const uint64_t *was = sum->sums;
	uint64_t now[CHUNK / BLOCK], offset = 0;

	for (uint32_t i = 0; i < sum->iovcnt; i++) {
		const struct iovec *iov = &sum->iov[i];

		for (size_t at = 0; at < iov->iov_len; at += BLOCK) {
			size_t in_chunk = at % CHUNK, left = iov->iov_len - at;
			enum zcreq_checksum_verdict verdict;

			if (!in_chunk)
				sum_chunk((const char *)iov->iov_base + at, chunk_at(iov, at), now);
			verdict = judge(*was++, now[in_chunk / BLOCK]);
			if (found == ZCREQ_CHECKSUM_SAME && verdict != found) {
				found = verdict;
				difference->offset_bytes = offset + at;
				difference->len_bytes = 0;
				difference->address = (const char *)iov->iov_base + at;
			}
			if (found != ZCREQ_CHECKSUM_SAME) {
				if (verdict != found)
					return found;
				difference->len_bytes += left < BLOCK ? left : BLOCK;
			}
		}
		if (found != ZCREQ_CHECKSUM_SAME)
			return found;
		offset += iov->iov_len;
	}
	return found;
}
