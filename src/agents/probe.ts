/** How long an agent has to say that it lives. */
const patienceMs = 2000;

/**
 * Asks an agent whether it lives: any 2xx says so. An answer that leads elsewhere, comes too late or not at all says no;
 * why does not matter, an agent that says nothing is silent.
 */
export async function lives(
  url: string,
  { signal, fetch }: { signal: AbortSignal; fetch: typeof globalThis.fetch },
): Promise<boolean> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  try {
    const answer = await fetch(url, { redirect: "manual", signal: limit });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
