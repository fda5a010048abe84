import type { Cap, Caps, Figure, Spend } from "../contracts/budget.ts";
import { jsonText, part, type Sql } from "./database.ts";

/** One account as it stands. */
export type AccountRow = { tenant: string; scope: keyof Caps; key: string; spent: Spend; reserved: Spend };

const none: Cap = { cost_usd: null, tokens: null, seconds: null };

/**
 * Puts `wanted` aside for a message on the three accounts of its tenant and trace, when it fits under every cap; else
 * answers false, and the transaction must be rolled back. Each account is checked and written under its row's lock, so
 * two workers never pass a cap together. Accounts are locked in the order of their names, here and in closeReservations.
 */
export async function reserve(
  tx: Sql,
  { id, tenant, traceId }: { id: string; tenant: string; traceId: string },
  { wanted, caps }: { wanted: Spend; caps: Caps },
): Promise<boolean> {
  const rows = (["day", "month", "trace"] as const).map((scope) => ({ scope, ...(caps[scope] ?? none) }));
  const [row] = await tx<{ fits: boolean }[]>`
    with c as materialized (
      select scope, cost_usd, tokens, seconds,
             case scope when 'day' then to_char(bus_now() at time zone 'UTC', 'YYYY-MM-DD')
                        when 'month' then to_char(bus_now() at time zone 'UTC', 'YYYY-MM')
                        else ${traceId} end as key
      from jsonb_to_recordset(${jsonText(rows)}::text::jsonb)
        as c(scope text, cost_usd numeric, tokens bigint, seconds numeric)
    ),
    w as materialized (
      select ${wanted.cost_usd}::text::numeric as usd, ${wanted.tokens}::text::bigint as tokens,
             ${wanted.seconds}::text::numeric as seconds
    ),
    put as (
      insert into budget_accounts as b (tenant, scope, key, reserved_usd, reserved_tokens, reserved_seconds)
      select ${tenant}, c.scope, c.key, w.usd, w.tokens, w.seconds from c cross join w
      where (w.usd <= c.cost_usd) is not false and (w.tokens <= c.tokens) is not false
        and (w.seconds <= c.seconds) is not false
      order by c.scope
      on conflict (tenant, scope, key) do update
      set reserved_usd = b.reserved_usd + excluded.reserved_usd,
          reserved_tokens = b.reserved_tokens + excluded.reserved_tokens,
          reserved_seconds = b.reserved_seconds + excluded.reserved_seconds, at = bus_now()
      where exists (
        select from c where c.scope = b.scope
          and (b.spent_usd + b.reserved_usd + excluded.reserved_usd <= c.cost_usd) is not false
          and (b.spent_tokens + b.reserved_tokens + excluded.reserved_tokens <= c.tokens) is not false
          and (b.spent_seconds + b.reserved_seconds + excluded.reserved_seconds <= c.seconds) is not false)
      returning b.scope, b.key
    ),
    noted as (
      insert into budget_reservations (message_id, tenant, day, month, trace, usd, tokens, seconds)
      select ${id}::text::bigint, ${tenant}, max(key) filter (where scope = 'day'), max(key) filter (where scope = 'month'),
             max(key) filter (where scope = 'trace'), max(w.usd), max(w.tokens), max(w.seconds)
      from put cross join w
      having count(*) = 3
    )
    select count(*) = 3 as fits from put`;
  return row?.fits === true;
}

/**
 * Takes back what these messages had put aside, and books what they did cost instead; a figure of null books nothing,
 * a part of null what was put aside for it. A message that had put nothing aside is passed over.
 */
export async function closeReservations(tx: Sql, ended: { id: string; figure: Figure | null }[]): Promise<void> {
  if (ended.length === 0) return;
  const rows = ended.map(({ id, figure }) => ({ id, known: figure !== null, ...figure }));
  await tx`
    with e as materialized (
      select * from jsonb_to_recordset(${jsonText(rows)}::text::jsonb)
        as e(id bigint, known boolean, cost_usd numeric, tokens bigint, seconds numeric)
    ),
    gone as (
      delete from budget_reservations r using e where r.message_id = e.id
      returning r.*, case when e.known then coalesce(e.cost_usd, r.usd) else 0 end as did_usd,
                case when e.known then coalesce(e.tokens, r.tokens) else 0 end as did_tokens,
                case when e.known then coalesce(e.seconds, r.seconds) else 0 end as did_seconds
    ),
    sums as materialized (
      select g.tenant, a.scope, a.key, sum(usd) as usd, sum(tokens)::bigint as tokens, sum(seconds) as seconds,
             sum(did_usd) as did_usd, sum(did_tokens)::bigint as did_tokens, sum(did_seconds) as did_seconds
      from gone g cross join lateral (values ('day', g.day), ('month', g.month), ('trace', g.trace)) as a (scope, key)
      group by g.tenant, a.scope, a.key
    ),
    locked as materialized (
      select b.tenant, b.scope, b.key from budget_accounts b
      where (b.tenant, b.scope, b.key) in (select tenant, scope, key from sums)
      order by b.tenant, b.scope, b.key
      for update
    )
    update budget_accounts b
    set reserved_usd = b.reserved_usd - s.usd, reserved_tokens = b.reserved_tokens - s.tokens,
        reserved_seconds = b.reserved_seconds - s.seconds, spent_usd = b.spent_usd + s.did_usd,
        spent_tokens = b.spent_tokens + s.did_tokens, spent_seconds = b.spent_seconds + s.did_seconds, at = bus_now()
    from sums s join locked using (tenant, scope, key)
    where (b.tenant, b.scope, b.key) = (s.tenant, s.scope, s.key)`;
}

/** The accounts of today and of this month, and of one trace or of those with a call under way; null: of all tenants. */
export async function accountsNow(
  sql: Sql,
  { tenant, traceId = null, limit = 1000 }: { tenant: string | null; traceId?: string | null; limit?: number },
): Promise<AccountRow[]> {
  return sql<AccountRow[]>`
    select tenant, scope, key,
           json_build_object('cost_usd', spent_usd, 'tokens', spent_tokens, 'seconds', spent_seconds) as spent,
           json_build_object('cost_usd', reserved_usd, 'tokens', reserved_tokens, 'seconds', reserved_seconds) as reserved
    from budget_accounts
    where ${tenant === null ? part`true` : part`tenant = ${tenant}`}
      and case scope when 'day' then key = to_char(bus_now() at time zone 'UTC', 'YYYY-MM-DD')
                     when 'month' then key = to_char(bus_now() at time zone 'UTC', 'YYYY-MM')
                     else ${traceId === null ? part`reserved_usd + reserved_tokens + reserved_seconds > 0` : part`key = ${traceId}`} end
    order by tenant, scope, key
    limit ${limit}`;
}

/** Deletes up to `limit` accounts nothing is put aside on, that did not change for `keepMs`; a month at the least. */
export async function forgetAccounts(sql: Sql, { keepMs, limit }: { keepMs: number; limit: number }): Promise<number> {
  const gone = await sql<{ key: string }[]>`
    delete from budget_accounts where ctid = any (array(
      select ctid from budget_accounts
      where at < bus_now() - greatest(${keepMs}::float8 * interval '1 millisecond', interval '32 days')
        and reserved_usd + reserved_tokens + reserved_seconds = 0
      order by at limit ${limit} for update skip locked))
    returning key`;
  return gone.length;
}
