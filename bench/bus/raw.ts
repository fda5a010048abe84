import { connect } from "../../src/store/database.ts";
import type { Body, System } from "./system.ts";

/** Bare INSERTs of the columns that a message is asked for with, into a table with a primary key and nothing else. */
export const raw: System = {
  version: "",
  settings: { table: "bigint identity primary key, no other index", form: "insert … select from unnest(typed arrays)" },
  work: null,

  async prepare(url) {
    const sql = connect(url, { max: 1 });
    await sql`
      create table raw_messages (
        id              bigint generated always as identity primary key,
        service         text not null,
        role            text not null,
        shard           smallint not null,
        tenant          text not null,
        intent          text not null,
        trace_id        uuid not null,
        idempotency_key text not null,
        payload         jsonb not null
      )`;
    await sql.end();
  },

  async client(url, inFlight) {
    const sql = connect(url, { max: inFlight });
    const trace = "00000000-0000-4000-8000-000000000000";
    const insert = async (bodies: Body[]) => {
      await sql`
        insert into raw_messages (service, role, shard, tenant, intent, trace_id, idempotency_key, payload)
        select * from unnest(
          ${bodies.map(() => "bench")}::text[], ${bodies.map(() => "echo")}::text[], ${bodies.map(() => 0)}::smallint[],
          ${bodies.map(() => "local")}::text[], ${bodies.map(() => "chat")}::text[], ${bodies.map(() => trace)}::uuid[],
          ${bodies.map(({ n }) => `bench-${n}`)}::text[], ${bodies.map((body) => JSON.stringify(body))}::jsonb[])`;
    };
    return {
      batch: insert,
      single: (body) => insert([body]),
      left: async () => false,
      close: () => sql.end(),
    };
  },
};
