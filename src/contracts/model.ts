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

/** A tool as a model sees it. `parameters` is a JSON Schema. */
export type ToolSpec = { name: string; about: string; parameters: Record<string, unknown> };

/** What a model may call before it answers; `use` answers in text, also when it cannot. */
export type Tool = ToolSpec & { use(args: unknown): Promise<string> };

/** The tools of a question: calling `answer` is the answer, its arguments are the text. */
export type Toolbox = { answer: ToolSpec; more: Tool[] };

export type Asking = {
  maxTokens: number | null;
  signal: AbortSignal;
  onText?: ((text: string) => void) | undefined; // hears the answer while it comes, as far as the provider tells
  toolbox?: Toolbox | undefined; // for models that call tools; others answer in text
};

/** One model that can be asked. Throws Failures `model_*`; gives up when `signal` fires. */
export type Model = {
  name: string;
  provider: string;
  generate(prompt: Prompt, options: Asking): Promise<Generation>;
};

/** The configured models by name. Empty is a normal state. */
export type ModelSet = ReadonlyMap<string, Model>;
