/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - what a command is: a check before its data moves, and a run after
 *
 * Owns: the table entry. Each kind of queue has its table: fabrics.c, admin.c,
 * io.c, discovery.c.
 *
 * Never: state. Built in two steps because data is expensive: everything that can
 * be refused is refused by check(), before a byte of it is asked for.
 */
#ifndef NVMET_COMMAND_H
#define NVMET_COMMAND_H

#include "conn.h"
#include "ctrl.h"
#include "subsystem.h"

/*
 * @check: gives the bytes that the command moves (0 for none) or a status that
 *         refuses it; NULL is none, always
 * @run:   must end in task_complete(), now or later
 * @effects: what the Commands Supported and Effects log says
 * @expect: it will run soon, after others that are here too; NULL: it runs at once
 */
struct command {
	uint16_t (*check)(struct task *task, uint32_t *len);
	void (*run)(struct task *task);
	uint32_t effects;
	void (*expect)(const struct task *task, enum store_step step);
};

/* The command that a task asks for, or a status. */
uint16_t command_find(struct task *task, const struct command **command);
const struct command *fabrics_command(uint8_t type);
const struct command *admin_command(uint8_t opcode);
const struct command *io_command(uint8_t opcode);
const struct command *discovery_command(uint8_t opcode);

/* Shared by the admin queues of both kinds of controller. */
uint16_t log_page_check(struct task *task, uint32_t *len);
void log_page_run(struct task *task);
uint16_t identify_check(struct task *task, uint32_t *len);
void identify_run(struct task *task);
uint16_t get_features_check(struct task *task, uint32_t *len);
void get_features_run(struct task *task);
uint16_t set_features_check(struct task *task, uint32_t *len);
void set_features_run(struct task *task);
void keep_alive_run(struct task *task);
void async_event_run(struct task *task);
void abort_run(struct task *task);

/* The discovery log page as seen from @conn; NULL without memory. */
uint8_t *discovery_log(const struct conn *conn, size_t *len);

#endif
