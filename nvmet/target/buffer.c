/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffer.c - the data of a command: blocks, and where in them an offset is
 *
 * Owns: the array of a task's blocks. Never: knows which way the data goes, or when.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"

void task_drop_blocks(struct task *task)
{
	blocks_unref(&task->conn->target->pool, task->blocks, task->block_count);
	task->block_count = 0;
	if (task->blocks != task->few_blocks)
		free(task->blocks);
	task->blocks = task->few_blocks;
}

int task_block_array(struct task *task, uint32_t count)
{
	struct block **blocks;

	if (count <= TASK_FEW_BLOCKS)
		return 0;
	blocks = malloc(count * sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	task->blocks = blocks;
	return 0;
}

int task_buffer(struct task *task, uint32_t len)
{
	uint32_t count = (task->lead + len + BLOCK_BYTES - 1) / BLOCK_BYTES;
	int err = task_block_array(task, count);

	if (err == 0)
		err = pool_take(&task->conn->target->pool, task->blocks, count);
	if (err == 0)
		task->block_count = count;
	return err;
}

void task_trim(struct task *task, uint32_t count)
{
	if (task->block_count <= count)
		return;
	blocks_unref(&task->conn->target->pool, task->blocks + count, task->block_count - count);
	task->block_count = count;
}

int task_reply_buffer(struct task *task, uint32_t len)
{
	int err = task_buffer(task, len);
	uint32_t i;

	if (err < 0)
		return err;
	for (i = 0; i < task->block_count; i++)
		memset(block_data(task->blocks[i]), 0, BLOCK_BYTES);
	task->data_len = len;
	task->reply_data = true;
	return 0;
}

/* Where in the buffer @offset is, and how much there is in one piece. */
static uint8_t *piece_at(const struct task *task, uint32_t offset, size_t *len)
{
	size_t left;

	offset += task->lead;
	left = BLOCK_BYTES - offset % BLOCK_BYTES;

	if (*len > left)
		*len = left;
	return (uint8_t *)block_data(task->blocks[offset / BLOCK_BYTES]) + offset % BLOCK_BYTES;
}

void task_put(struct task *task, uint32_t offset, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t room, some;
	uint8_t *to;

	room = offset < task->data_len ? task->data_len - offset : 0;
	if (len > room)
		len = room;
	for (; len; len -= some, from += some, offset += (uint32_t)some) {
		some = len;
		to = piece_at(task, offset, &some);
		memcpy(to, from, some);
	}
}

void task_get(const struct task *task, uint32_t offset, void *bytes, size_t len)
{
	const uint8_t *from;
	uint8_t *to = bytes;
	size_t some;

	for (; len; len -= some, to += some, offset += (uint32_t)some) {
		some = len;
		from = piece_at(task, offset, &some);
		memcpy(to, from, some);
	}
}

unsigned task_pieces(const struct task *task, uint32_t offset, uint32_t len, struct iovec *iov)
{
	unsigned count = 0;
	uint8_t *data;
	size_t some;

	for (; len; len -= (uint32_t)some, offset += (uint32_t)some) {
		some = len;
		data = piece_at(task, offset, &some);
		if (count && (uint8_t *)iov[count - 1].iov_base + iov[count - 1].iov_len == data)
			iov[count - 1].iov_len += some;
		else
			iov[count++] = (struct iovec){ data, some };
	}
	return count;
}
