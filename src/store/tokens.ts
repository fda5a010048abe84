import { z } from "zod";
import type { Database, Sql } from "./database.ts";

/** What a model is just saying, on its way to whoever follows the trace. Nobody keeps it. */
const Said = z.object({ trace_id: z.string(), round: z.number(), text: z.string() });
export type Said = z.infer<typeof Said>;

/** A NOTIFY carries less than 8000 bytes; JSON may make six of one character. */
const pieceMost = 1000;

/** Tells what was said to whoever listens just now. It may get lost, and then nothing is wrong. */
export async function tellSaid(sql: Sql, { text, ...of }: Said): Promise<void> {
  for (let at = 0; at < text.length; at += pieceMost) {
    const piece = JSON.stringify({ ...of, text: text.slice(at, at + pieceMost).toWellFormed() });
    await sql`select pg_notify('bus_said', ${piece.replaceAll("\\u0000", "\\ufffd")})`.catch(() => {});
  }
}

/** Calls `heard` with each piece. Takes a connection of its own; answers the function that ends it. */
export async function listenToSaid(sql: Database, heard: (said: Said) => void): Promise<() => Promise<void>> {
  const { unlisten } = await sql.listen("bus_said", (text) => {
    const said = Said.safeParse(JSON.parse(text));
    if (said.success) heard(said.data);
  });
  return unlisten;
}
