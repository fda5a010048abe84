/**
 * The trace id of a W3C `traceparent` (Trace Context, level 1), written as a UUID. Null when there is none or it is
 * malformed: the standard has us ignore it then and start a trace of our own.
 */
export function traceIdIn(traceparent: string | undefined): string | null {
  const [, version, id = "", parent, rest] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(traceparent ?? "") ?? [];
  if (!version || version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (/^0+$/.test(id) || /^0+$/.test(parent ?? "")) return null;
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
