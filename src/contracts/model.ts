/** What we ask of a model, and what it answers. The providers live in `llm/`. */
export type Prompt = { role: "system" | "user" | "assistant"; content: string }[];

export type Generation = {
  text: string;
  provider: string; // 'openai-compatible' | 'cassette'
  model: string;
  replay: boolean; // true: a recorded output
  tokens: { input: number; output: number; cached?: number } | null; // `cached`: of the input; null: nobody said
  costUsd?: number | null; // as far as it was said; a price table may know otherwise
};

export type Asking = {
  maxTokens: number | null;
  signal: AbortSignal;
  onText?: ((text: string) => void) | undefined; // hears the answer while it comes, as far as the provider tells
};

/** One model that can be asked. Throws Failures `model_*`; gives up when `signal` fires. */
export type Model = {
  name: string;
  provider: string;
  generate(prompt: Prompt, options: Asking): Promise<Generation>;
};

/** The configured models by name. Empty is a normal state. */
export type ModelSet = ReadonlyMap<string, Model>;
