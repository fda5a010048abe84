import type { Database } from "../../src/store/database.ts";

/**
 * Plants a bug: no fencing. A lease that is swept stays, so "is it still held with this token?" is always answered yes,
 * and an attempt may end twice: one whose message went to another worker may settle in its stead.
 *
 * The bug is in the database of the run, not in a switch of the code: nothing that ships can be told to leave the check
 * out, and the workers under test are the ones that ship.
 */
export async function plantNoFence(sql: Database): Promise<void> {
  await sql.unsafe(`
    create function keep_it() returns trigger language plpgsql as $$
      begin
        old.until := 'infinity';
        insert into bus_leases select old.*;
        return null;
      end $$;
    create trigger keep_it after delete on bus_leases for each row execute function keep_it();
    alter table bus_attempts drop constraint bus_attempts_pkey`);
}
