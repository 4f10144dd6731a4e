/** What clients of a mixed load ask, and how they read what comes: text, usage, and where it ends. */
export interface Asked {
  /** Same name, same answer. */
  name: string;
  path: string;
  body: Record<string, unknown>;
  isStream: boolean;
  /** Of one event or line of a stream, or of the whole answer; null for what says nothing. */
  read: (json: any) => Partial<Read> | null;
  /** A status that is right for it. */
  status: number;
}

export interface Read {
  text: string;
  promptTokens: number;
  completionTokens: number;
}

const usageOf = (usage: any): Partial<Read> =>
  usage ? { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens } : {};

const openai = (json: any): Partial<Read> => ({
  text: (json.choices ?? [])
    .map((choice: any) => choice.text ?? choice.message?.content ?? choice.delta?.content ?? '')
    .join('|'),
  ...usageOf(json.usage),
});
const llama = (json: any): Partial<Read> => ({
  text: json.content,
  ...(json.stop ? { promptTokens: json.tokens_evaluated, completionTokens: json.tokens_predicted } : {}),
});
const ollama = (json: any): Partial<Read> => ({
  text: json.response,
  ...(json.done ? { promptTokens: json.prompt_eval_count, completionTokens: json.eval_count } : {}),
});
/** The pieces of all holes; the whole at the end repeats them. */
const holes = (json: any): Partial<Read> =>
  'delta' in json
    ? { text: json.delta }
    : {
        text: json.isStreamed ? '' : json.holes.map((hole: any) => hole.text).join(''),
        ...usageOf(json.usage),
      };

const GAPS = [
  ['const a = ', ';\n'],
  ['function add(a, b) {\n  return ', '\n}\n'],
  ['import { x } from ', '\n'],
  ['for (let i = 0; i < n; i++) {\n', '\n}\n'],
] as const;

/** Every kind of request with every gap: greedy, so that each has one right answer. */
export function mixedRequests(): Asked[] {
  const all: Asked[] = [];
  const add = (asked: Omit<Asked, 'name' | 'isStream' | 'status'> & { status?: number }): void => {
    for (const stream of [false, true]) {
      const body = { ...asked.body, stream };
      all.push({ status: 200, ...asked, body, isStream: stream, name: JSON.stringify([asked.path, body]) });
    }
  };
  for (const [index, [prompt, suffix]] of GAPS.entries()) {
    const max_tokens = 8 + 4 * index;
    const stream_options = { include_usage: true };
    add({ path: '/v1/completions', body: { prompt, max_tokens, stream_options }, read: openai });
    add({ path: '/v1/fim/completions', body: { prompt, suffix, max_tokens, stream_options }, read: openai });
    add({
      path: '/v1/infill',
      body: { template: `${prompt}<|hole|>${suffix}let b = <|hole|>;\n`, max_tokens },
      read: holes,
    });
    add({
      path: '/infill',
      body: { input_prefix: prompt, input_suffix: suffix, n_predict: max_tokens },
      read: llama,
    });
    add({ path: '/completion', body: { prompt, n_predict: max_tokens }, read: llama });
    add({
      path: '/api/generate',
      body: { model: 'model', prompt, suffix, options: { num_predict: max_tokens } },
      read: ollama,
    });
    add({
      path: '/v1/chat/completions',
      body: { messages: [{ role: 'user', content: prompt }] },
      read: () => null,
      status: 400,
    });
  }
  // The whole of a streamed template repeats its pieces.
  return all.map((asked) =>
    asked.path === '/v1/infill' && asked.isStream
      ? { ...asked, read: (json: any) => holes({ ...json, isStreamed: true }) }
      : asked,
  );
}
