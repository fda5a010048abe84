import { z } from "zod";

/** The SHA-256 of an upload's bytes: the same files are the same upload. */
export const UploadId = z.string().regex(/^[0-9a-f]{64}$/, "is the id of an upload: 64 hex digits");
export type UploadId = z.infer<typeof UploadId>;

/** 201 of `POST /api/workspaces`: a project that was taken in, to be named in `upload` of a request. */
export const UploadView = z.object({
  id: UploadId,
  files: z.number().int().nonnegative(),
  bytes: z.number().int().nonnegative(), // of the files together
  left_out: z.array(z.object({ path: z.string(), why: z.string() })).max(200), // links, and what is neither file nor folder
});
export type UploadView = z.infer<typeof UploadView>;

/** What is written beside the bytes of an upload. */
export const Manifest = UploadView.extend({
  entries: z.array(z.tuple([z.string(), z.number().int(), z.number().int()])), // path, bytes, where they begin
  links: z.array(z.string()),
});
export type Manifest = z.infer<typeof Manifest>;

/** A project that was uploaded: its names in memory, its bytes where they are. */
export type Upload = {
  files: ReadonlyMap<string, number>; // path to bytes
  links: ReadonlySet<string>; // paths that were links: nothing is written through one
  read(path: string): AsyncGenerator<Uint8Array, void>;
};
