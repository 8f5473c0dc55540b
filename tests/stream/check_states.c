/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_states.c - the state tables of a stream have an answer in every cell
 */
#include "support/states.h"

#include "stream/stream.h"

START_TEST(every_cell_of_the_ladder_is_written_out)
{
	table_is_whole(zcreq_ladder_table);
}
END_TEST

START_TEST(every_cell_of_a_senders_turn_is_written_out)
{
	table_is_whole(zcreq_sender_table);
}
END_TEST

START_TEST(every_cell_of_the_retry_is_written_out)
{
	table_is_whole(zcreq_retry_table);
}
END_TEST

START_TEST(every_cell_of_the_watchdogs_look_is_written_out)
{
	table_is_whole(zcreq_look_table);
}
END_TEST

START_TEST(every_cell_of_the_end_is_written_out)
{
	table_is_whole(zcreq_fin_table);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("states");
	TCase *tables = tcase_create("tables");

	tcase_add_test(tables, every_cell_of_the_ladder_is_written_out);
	tcase_add_test(tables, every_cell_of_a_senders_turn_is_written_out);
	tcase_add_test(tables, every_cell_of_the_retry_is_written_out);
	tcase_add_test(tables, every_cell_of_the_watchdogs_look_is_written_out);
	tcase_add_test(tables, every_cell_of_the_end_is_written_out);
	suite_add_tcase(s, tables);
	return suite_run(s);
}
