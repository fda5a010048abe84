import { Failure, recordOf } from "../contracts/failure.ts";
import { jsonText, type Sql } from "./database.ts";
import type { Draft } from "./messages.ts";

/** How one branch of a join ended. */
export type Branch = {
  to: string; // service.role
  key: string;
  status: "done" | "dead" | "expired" | "cancelled";
  result: unknown;
  failure: unknown;
};

/** Opens a join of `open` branches, whose last one publishes `next`. Answers its id. */
export async function openJoin(
  tx: Sql,
  { parentId, open, next }: { parentId: string; open: number; next: Draft },
): Promise<string> {
  const [join] = await tx<{ id: string }[]>`
    insert into bus_joins (parent_id, open, next) values (${parentId}, ${open}, ${jsonText({ ...next, body: undefined })}::text::jsonb)
    returning id`;
  if (!join) throw new Error("an insert answers its row");
  return join.id;
}

/**
 * Counts a message of a join as ended, and `more` that follow from it. When none is open any more the join is gone, and
 * what it publishes is answered. Two branches that end at one time wait for each other here.
 */
export async function closeBranch(tx: Sql, joinId: string, more: number): Promise<Draft | null> {
  const [join] = await tx<{ open: number; next: Draft }[]>`
    update bus_joins set open = open + ${more} - 1 where id = ${joinId} returning open, next`;
  if (join?.open !== 0) return null;
  await tx`delete from bus_joins where id = ${joinId}`;
  return join.next;
}

/** Closes the joins of a trace that was called off: nothing goes out any more. */
export async function dropJoins(tx: Sql, { rootId, traceId }: { rootId: string; traceId: string }): Promise<void> {
  await tx`
    delete from bus_joins j using bus_messages m
    where m.trace_id = ${traceId} and m.root_id = ${rootId} and j.parent_id = m.id`;
}

const expired = recordOf(new Failure("expired", "nobody answered in time"));

/**
 * How the branches of a join ended: of each, the last message; one that waited for somebody in vain has expired. Branches
 * are few, and each is looked up by its id, however long the history is.
 */
export async function branchesOf(tx: Sql, joinId: string): Promise<Branch[]> {
  return tx<Branch[]>`
    select m.service || '.' || m.role as "to", m.idempotency_key as key,
           case when vain.is then 'expired' else e.status end as status,
           case when not vain.is then e.result end as result,
           case when vain.is then ${jsonText(expired)}::text::jsonb else e.failure end as failure
    from bus_messages m
    cross join lateral (
      select a.status, a.result::jsonb as result, a.failure
      from bus_attempts a where a.message_id = m.id and a.status <> 'retry'
      union all
      select 'done', p.result::jsonb, null from bus_packed p where p.message_id = m.id
    ) e
    cross join lateral (
      select count(*) > 0 as is from bus_waits w
      where w.message_id = m.id and w.answered_by = 'expiry' and w.answer is null
    ) vain
    where m.join_id = ${joinId}
      and (select count(*) from bus_messages c where c.trace_id = m.trace_id and c.parent_id = m.id) = 0
    order by m.id`;
}
