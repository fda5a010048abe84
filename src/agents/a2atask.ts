import type { Artifact, Message, Part, StreamResponse, Task, TaskStatus } from "@a2a-js/sdk";

/** What an Agent2Agent agent has said so far: nothing, a message (its answer), or how its task stands. */
export type Said = { message: Message } | { task: Task } | null;

/** States of a task in which more comes of it (A2A 1.0, TaskState: submitted, working). */
const underWay = new Set([1, 2]);

/** A task that nothing more comes of. An agent that says no state has said all. */
export function isOver({ status }: Task): boolean {
  return !underWay.has(status?.state ?? 0);
}

/** What was said, with one event of a stream more. Whatever is not of a known kind changes nothing. */
export function withEvent(said: Said, { payload }: StreamResponse): Said {
  if (payload?.$case === "message") return { message: payload.value };
  if (payload?.$case === "task") return { task: payload.value };
  if (payload?.$case === "statusUpdate") {
    const { taskId, contextId, status } = payload.value;
    return { task: { ...taskIn(said, { taskId, contextId }), status } };
  }
  if (payload?.$case !== "artifactUpdate" || !payload.value.artifact) return said;
  const { artifact, append, ...of } = payload.value;
  const task = taskIn(said, of);
  return { task: { ...task, artifacts: withArtifact(task.artifacts, artifact, append) } };
}

/** The task so far; a stream may begin in the middle of one. */
function taskIn(said: Said, { taskId, contextId }: { taskId: string; contextId: string }): Task {
  if (said && "task" in said) return said.task;
  const status: TaskStatus = { state: 1, message: undefined, timestamp: undefined };
  return { id: taskId, contextId, status, artifacts: [], history: [], metadata: undefined };
}

function withArtifact(artifacts: Artifact[], more: Artifact, append: boolean): Artifact[] {
  const at = artifacts.findIndex(({ artifactId }) => artifactId === more.artifactId);
  const one = artifacts[at];
  if (!one) return [...artifacts, more];
  return artifacts.with(at, append ? { ...one, parts: joined(one.parts, more.parts) } : more);
}

/** Text that is appended to text goes on where that ended: it is one text that comes in pieces. */
function joined(parts: Part[], [first, ...rest]: Part[]): Part[] {
  if (!first) return parts;
  const last = parts.at(-1);
  if (last?.content?.$case !== "text" || first.content?.$case !== "text") return [...parts, first, ...rest];
  const value = last.content.value + first.content.value;
  return [...parts.slice(0, -1), { ...last, content: { $case: "text", value } }, ...rest];
}

/** The text of parts. */
export function textIn(parts: Part[]): string {
  return parts.flatMap(({ content }) => (content?.$case === "text" ? [content.value] : [])).join("\n");
}

/** What an agent says of a task that is under way; empty: nothing. What it says at the end is its answer. */
export function progressIn(task: Task): string {
  return isOver(task) ? "" : textIn(task.status?.message?.parts ?? []);
}
