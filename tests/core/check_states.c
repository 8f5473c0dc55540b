/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_states.c - the state tables of the core have an answer in every cell
 */
#include "support/states.h"

#include "core/core.h"

START_TEST(every_cell_of_requests_is_written_out)
{
	table_is_whole(zcreq_request_transitions);
}
END_TEST

START_TEST(every_cell_of_connections_is_written_out)
{
	table_is_whole(zcreq_conn_transitions);
}
END_TEST

START_TEST(every_cell_of_watches_is_written_out)
{
	table_is_whole(zcreq_watch_table);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("states");
	TCase *tables = tcase_create("tables");

	tcase_add_test(tables, every_cell_of_requests_is_written_out);
	tcase_add_test(tables, every_cell_of_connections_is_written_out);
	tcase_add_test(tables, every_cell_of_watches_is_written_out);
	suite_add_tcase(s, tables);
	return suite_run(s);
}
