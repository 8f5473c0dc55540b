/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.c - the I/O commands: Read, Write, Flush, Compare, Write Zeroes, DSM
 *
 * Owns: the checks of ranges and lengths, and the way from a store's errno to an
 * NVMe status. Never: reports success for what the store refused.
 *
 * A Read takes references to blocks and is done: the answer sends them from where
 * they lie. A Write hands over the blocks that the data was received into. Commands count in
 * logical blocks, stores in those of 4096 bytes and in bytes: what is between them is here.
 */
#include <errno.h>
#include <string.h>

#include "command.h"

#define SECTOR_SHIFT 9 /* health counts those */

static struct store *store_of(const struct task *task)
{
	return target_namespace(task->conn->target, le32toh(task->sqe.nsid));
}

static uint64_t first_of(const struct task *task)
{
	return le32toh(task->sqe.cdw10) | (uint64_t)le32toh(task->sqe.cdw11) << 32;
}

static uint32_t count_of(const struct task *task)
{
	return (le32toh(task->sqe.cdw12) & 0xffff) + 1;
}

static uint32_t control_of(const struct task *task)
{
	return le32toh(task->sqe.cdw12) >> 16;
}

static uint64_t offset_of(const struct task *task)
{
	return first_of(task) << store_of(task)->lba_shift;
}

static uint32_t bytes_of(const struct task *task)
{
	return count_of(task) << store_of(task)->lba_shift;
}

/* That the command touches. */
static uint32_t blocks_of(const struct task *task)
{
	return (uint32_t)store_blocks_of(offset_of(task), bytes_of(task));
}

static uint16_t status_of(int err, bool writing)
{
	switch (err) {
	case 0:
		return 0;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return STATUS_DNR(NVME_SC_CAP_EXCEEDED);
	case -EROFS:
	case -EPERM:
		return STATUS_DNR(NVME_SC_NS_WRITE_PROTECTED);
	case -ENOMEM:
		return NVME_SC_INTERNAL; /* may be there the next time */
	default:
		return writing ? STATUS_MEDIA(NVME_SC_WRITE_FAULT)
			       : STATUS_MEDIA(NVME_SC_READ_ERROR);
	}
}

/* The store's answer, counted where the medium is to blame. */
static uint16_t result_of(struct target *target, int err, bool writing)
{
	uint16_t status = status_of(err, writing);

	if (status && err != -ENOMEM)
		ctrls_medium_failed(target);
	return status;
}

static uint16_t check_range(const struct task *task, uint64_t first, uint64_t blocks)
{
	const struct store *store = store_of(task);

	if (!store)
		return STATUS_DNR(NVME_SC_INVALID_NS);
	return store_range_ok(store, first, blocks) ? 0 : STATUS_DNR(NVME_SC_LBA_RANGE);
}

/* The namespace is there, and a command of this length is not longer than may be. */
static uint16_t check_length(const struct task *task)
{
	const struct store *store = store_of(task);

	if (!store)
		return STATUS_DNR(NVME_SC_INVALID_NS);
	if (count_of(task) > TRANSFER_MAX >> store->lba_shift)
		return STATUS_DNR(NVME_SC_INVALID_FIELD);
	return check_range(task, first_of(task), count_of(task));
}

static uint16_t check_transfer(struct task *task, uint32_t *len)
{
	uint16_t status = check_length(task);

	if (status)
		return status;
	*len = bytes_of(task);
	task->lead = (uint32_t)(offset_of(task) % BLOCK_BYTES);
	return 0;
}

static bool has_fua(const struct task *task)
{
	return control_of(task) & NVME_IO_FUA;
}

/* What must be on the medium first: before a Write is reported, or a Read is answered. */
static int commit_if(bool asked, struct store *store)
{
	return asked && store->has_write_cache ? store->ops->flush(store) : 0;
}

static void run_read(struct task *task)
{
	struct target *target = task->conn->target;
	struct store *store = store_of(task);
	uint32_t blocks = blocks_of(task);
	int err = task_block_array(task, blocks);

	if (err == 0)
		err = commit_if(has_fua(task), store);
	if (err == 0)
		err = store_read(store, &target->pool, offset_of(task) >> BLOCK_SHIFT, blocks,
				 task->blocks);
	if (err == 0) {
		task->block_count = blocks;
		task->data_len = bytes_of(task);
		task->reply_data = true;
		count(&target->health.reads, 1);
		count(&target->health.read_sectors, task->data_len >> SECTOR_SHIFT);
	}
	task_complete(task, result_of(target, err, false));
}

static void expect_range(const struct task *task, enum store_step step)
{
	store_expect(store_of(task), offset_of(task) >> BLOCK_SHIFT, blocks_of(task), step);
}

/* The same of what was written: also if the host has switched the cache off. */
static int commit_written(const struct task *task, struct store *store)
{
	return commit_if(has_fua(task) || !ctrl_write_cache(task->conn->ctrl), store);
}

/* Whole blocks take the place of others; nothing has to be filled in. */
static int write_blocks(struct task *task, struct store *store)
{
	struct pool *pool = &task->conn->target->pool;
	uint32_t bytes = bytes_of(task);

	task_trim(task, blocks_of(task));
	if (task->lead || bytes % BLOCK_BYTES)
		return store_write_bytes(store, pool, offset_of(task), bytes, task->blocks);
	return store_write(store, pool, offset_of(task) >> BLOCK_SHIFT, task->block_count,
			   task->blocks);
}

static void run_write(struct task *task)
{
	struct target *target = task->conn->target;
	struct store *store = store_of(task);
	int err = write_blocks(task, store);

	if (err == 0) {
		task->block_count = 0; /* the store's now */
		err = commit_written(task, store);
	}
	if (err == 0) {
		count(&target->health.writes, 1);
		count(&target->health.written_sectors, bytes_of(task) >> SECTOR_SHIFT);
		task->conn->written_bytes += bytes_of(task);
	}
	task_complete(task, result_of(target, err, true));
}

/* The part of block @i that the command's data is in. */
static bool same_part(const struct task *task, uint32_t i, const struct block *current)
{
	uint64_t end = (uint64_t)task->lead + bytes_of(task), left = end - (uint64_t)i * BLOCK_BYTES;
	uint32_t from = i ? 0 : task->lead, to = left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES;

	return !memcmp((const uint8_t *)block_data(current) + from,
		       (const uint8_t *)block_data(task->blocks[i]) + from, to - from);
}

static int compare(struct task *task, struct store *store, bool *same)
{
	struct pool *pool = &task->conn->target->pool;
	struct block *current[TRANSFER_MAX / BLOCK_BYTES + 1];
	uint32_t i;
	int err;

	task_trim(task, blocks_of(task));
	err = commit_if(has_fua(task), store);
	if (err == 0) /* at once: no Write is seen by half */
		err = store_read(store, pool, offset_of(task) >> BLOCK_SHIFT, task->block_count,
				 current);
	if (err < 0)
		return err;
	*same = true;
	for (i = 0; i < task->block_count && *same; i++)
		*same = same_part(task, i, current[i]);
	blocks_unref(pool, current, task->block_count);
	return 0;
}

static void run_compare(struct task *task)
{
	bool same = false;
	int err = compare(task, store_of(task), &same);
	uint16_t status = result_of(task->conn->target, err, false);

	if (!status && !same)
		status = STATUS_DNR(STATUS_MEDIA(NVME_SC_COMPARE_FAILED));
	task_complete(task, status);
}

static uint16_t check_flush(struct task *task, uint32_t *len)
{
	(void)len;
	if (le32toh(task->sqe.nsid) == NVME_NSID_ALL)
		return 0;
	return store_of(task) ? 0 : STATUS_DNR(NVME_SC_INVALID_NS);
}

static void run_flush(struct task *task)
{
	struct target *target = task->conn->target;
	bool all = le32toh(task->sqe.nsid) == NVME_NSID_ALL;
	struct store *store;
	int err = 0, one;
	unsigned i;

	for (i = 0; i < target->store_count; i++) {
		store = target->stores[i];
		if (!all && store != store_of(task))
			continue;
		one = store->ops->flush(store);
		err = err ? err : one;
	}
	task_complete(task, result_of(target, err, true));
}

static uint16_t check_zeroes(struct task *task, uint32_t *len)
{
	(void)len;
	return check_length(task); /* WZSL is MDTS */
}

static void run_zeroes(struct task *task)
{
	struct store *store = store_of(task);
	int err = store_zero_bytes(store, &task->conn->target->pool, offset_of(task), bytes_of(task),
				   control_of(task) & NVME_IO_DEAC);

	if (err == 0)
		err = commit_written(task, store);
	task_complete(task, result_of(task->conn->target, err, true));
}

static uint32_t ranges_of(const struct task *task)
{
	return (le32toh(task->sqe.cdw10) & 0xff) + 1;
}

#define OVER_LIMIT STATUS_DNR(STATUS_SPECIFIC(NVME_SC_CMD_SIZE_LIMIT_EXCEEDED))

static uint16_t check_dsm(struct task *task, uint32_t *len)
{
	if (!store_of(task))
		return STATUS_DNR(NVME_SC_INVALID_NS);
	if (ranges_of(task) > DSM_RANGES_MAX)
		return OVER_LIMIT;
	*len = ranges_of(task) * (uint32_t)sizeof(struct nvme_dsm_range);
	return 0;
}

static struct nvme_dsm_range range_at(const struct task *task, uint32_t i)
{
	struct nvme_dsm_range range;

	task_get(task, i * (uint32_t)sizeof(range), &range, sizeof(range));
	return range;
}

/* So much of a range in one turn: what it takes is no longer than a large Write. A slice ends
 * where a block does, so that no block is cut by two of them. */
#define SLICE_BYTES ((uint64_t)2048 * BLOCK_BYTES)

static void deallocate_slice(struct task *task)
{
	struct target *target = task->conn->target;
	struct nvme_dsm_range range = range_at(task, task->work_range);
	struct store *store = store_of(task);
	uint64_t at = (le64toh(range.slba) + task->work_done) << store->lba_shift;
	uint64_t left = (uint64_t)(le32toh(range.nlb) - task->work_done) << store->lba_shift;
	uint64_t some = SLICE_BYTES - at % BLOCK_BYTES;
	int err = 0;

	if (some > left)
		some = left;
	if (some)
		err = store_deallocate_bytes(store, &target->pool, at, some);
	task->work_done += (uint32_t)(some >> store->lba_shift);
	if (some == left) {
		task->work_done = 0;
		task->work_range++;
	}
	if (err || task->work_range == ranges_of(task))
		task_complete(task, result_of(target, err, true));
}

/* All ranges are looked at before the first is acted on. The hints beside
 * Deallocate are hints: nothing follows from them here. */
static void run_dsm(struct task *task)
{
	bool deallocate = le32toh(task->sqe.cdw11) & NVME_DSMGMT_AD;
	uint32_t i, blocks, some = ranges_of(task);
	struct nvme_dsm_range range;
	uint16_t status = 0;

	for (i = 0; i < some && !status; i++) {
		range = range_at(task, i);
		blocks = le32toh(range.nlb);
		status = blocks > DSM_RANGE_BLOCKS_MAX
				 ? OVER_LIMIT
				 : check_range(task, le64toh(range.slba), blocks);
	}
	if (!status && deallocate)
		task_work(task, deallocate_slice);
	else
		task_complete(task, status);
}

const struct command *io_command(uint8_t opcode)
{
	static const struct command commands[] = {
		[nvme_cmd_flush] = { check_flush, run_flush, NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_cmd_write] = { check_transfer, run_write,
				     NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC, expect_range },
		[nvme_cmd_read] = { check_transfer, run_read, NVME_CMD_EFFECTS_CSUPP,
				    expect_range },
		[nvme_cmd_compare] = { check_transfer, run_compare, NVME_CMD_EFFECTS_CSUPP, NULL },
		[nvme_cmd_write_zeroes] = { check_zeroes, run_zeroes,
					    NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC, NULL },
		[nvme_cmd_dsm] = { check_dsm, run_dsm,
				   NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC, NULL },
	};

	if (opcode >= sizeof(commands) / sizeof(commands[0]) || !commands[opcode].run)
		return NULL;
	return &commands[opcode];
}
