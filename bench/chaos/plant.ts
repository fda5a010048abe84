import type { Database } from "../../src/store/database.ts";

/**
 * Plants a bug: no fencing. Every lease of a message gets the same token, so `message_id = … and token = …` asks for
 * no more than `message_id = …`: an attempt whose lease went to another worker may settle in its stead.
 *
 * The bug is in the database of the run, not in a switch of the code: nothing that ships can be told to leave the check
 * out, and the workers under test are the ones that ship.
 */
export async function plantNoFence(sql: Database): Promise<void> {
  await sql`
    alter table bus_leases
      drop column token,
      add column token bigint generated always as (message_id) stored unique`;
}
