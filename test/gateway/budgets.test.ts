import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClient } from "../../src/client/client.ts";
import { type Door, openDoor, shippedLimits } from "./door.ts";

const open = { cost_usd: null, tokens: null, seconds: null };
const day = { ...open, tokens: 100 };

describe("GET /api/budgets", () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor({
      limits: () => ({ ...shippedLimits, budgets: { ...shippedLimits.budgets, keys: { acme: { day } } } }),
    });
    await door.world.sql.unsafe(`
      insert into tenants (id) values ('acme'), ('other');
      insert into access_keys (name, kind, tenant, sha256)
      select kind, kind, tenant, sha256(convert_to('dag_' || repeat(letter, 43), 'UTF8'))
      from (values ('tenant', 'acme', 'a'), ('operator', 'local', 'o')) as k(kind, tenant, letter);
      insert into budget_accounts (tenant, scope, key, spent_usd, spent_tokens, reserved_tokens)
      select t, 'day', to_char(bus_now() at time zone 'UTC', 'YYYY-MM-DD'), 0.1, 30, 5
      from unnest(array['acme', 'other']) t;
      insert into budget_accounts (tenant, scope, key, spent_tokens, reserved_tokens)
      values ('acme', 'day', '2001-01-01', 7, 0), ('acme', 'trace', 'ended', 7, 0), ('acme', 'trace', 'open', 1, 2)`);
  });
  afterAll(() => door.close());

  const as = (letter: string, tenant?: string) =>
    openClient({ url: door.url, token: `dag_${letter.repeat(43)}`, ...(tenant === undefined ? {} : { tenant }) });
  const named = async (client: ReturnType<typeof as>) =>
    (await client.budgets()).budgets.map(({ tenant, scope, key }) =>
      `${tenant} ${scope} ${key === null ? "new" : ""}`.trim(),
    );

  test("shows a tenant its own: spent, put aside and cap, of now and of what is under way", async () => {
    const { budgets } = await as("a").budgets();

    expect(budgets).toEqual([
      {
        tenant: "acme",
        scope: "day",
        key: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
        spent: { cost_usd: 0.1, tokens: 30, seconds: 0 },
        reserved: { cost_usd: 0, tokens: 5, seconds: 0 },
        cap: day,
      },
      expect.objectContaining({ tenant: "acme", scope: "trace", key: "open", cap: open }),
      expect.objectContaining({
        tenant: "acme",
        scope: "month",
        key: null,
        spent: { cost_usd: 0, tokens: 0, seconds: 0 },
      }),
    ]);
  });

  test("shows operators all, or the tenant they name", async () => {
    expect(await named(as("o"))).toEqual(["acme day", "acme trace", "other day", "local day new", "local month new"]);
    expect(await named(as("o", "other"))).toEqual(["other day", "other month new"]);
  });

  test("shows nothing without a key, nor another tenant to a tenant", async () => {
    expect((await fetch(`${door.url}/api/budgets`)).status).toBe(401);
    await expect(as("a", "other").budgets()).rejects.toMatchObject({ code: "forbidden" });
  });

  test("refuses a tenant that is not there", async () => {
    await expect(as("o", "nobody").budgets()).rejects.toMatchObject({ code: "unknown_tenant" });
  });
});
