/** What we ask of a model, and what it answers. The providers live in `llm/`. */
export type Prompt = { role: "system" | "user" | "assistant"; content: string }[];

export type Generation = {
  text: string;
  provider: string; // 'openai-compatible' | 'cassette'
  model: string;
  replay: boolean; // true: a recorded output
  tokens: { input: number; output: number } | null; // null: the provider did not say
  costUsd?: number | null; // as far as it was said; a price table may know otherwise
};

/** One model that can be asked. Throws Failures `model_*`; gives up when `signal` fires. */
export type Model = {
  name: string;
  provider: string;
  generate(prompt: Prompt, options: { maxTokens: number | null; signal: AbortSignal }): Promise<Generation>;
};

/** The configured models by name. Empty is a normal state. */
export type ModelSet = ReadonlyMap<string, Model>;
