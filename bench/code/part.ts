/** What a part of this benchmark is given. */
export type At = { progress: (text: string) => void; signal: AbortSignal };
