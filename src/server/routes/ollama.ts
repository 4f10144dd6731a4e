/** Ollama's routes. Answers are lines of JSON, streamed unless the client says otherwise; errors are plain strings. */
import type { CompletionReply, RequestSource, ServedModel } from '../../decode/engine-types.ts';
import type { ChatMessage } from '../../text/chat.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { markedGap } from '../fim-markers.ts';
import { completeJob, findModel, note, runJob } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { ollamaChatBody, ollamaGenerateBody, ollamaShowBody } from '../schemas-local.ts';
import type { OllamaBody } from '../schemas-local.ts';
import type { z } from 'zod';
import { optionsOf } from '../settings.ts';
import { line, NDJSON, streamed } from '../streaming.ts';
import { freeCallReader, plainReader } from '../tool-calls.ts';
import type { Piece, PieceReader } from '../tool-calls.ts';
import { answerLength, checkChat } from './chat.ts';

/** Of the protocol that is spoken, not of this program. */
const OLLAMA_VERSION = '0.12.0';

export const ollamaRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/generate',
    tag: 'Ollama',
    summary: 'Continue a text or fill a gap; with a chat model, answer a prompt',
    body: ollamaGenerateBody,
    streams: 'application/x-ndjson',
    answer: (c, body, deps) => {
      const model = findModel(deps, body.model);
      // An empty prompt asks for the model to be loaded, which it is.
      if (body.prompt === '' && !body.suffix) {
        const done = {
          model: body.model,
          created_at: now(deps),
          response: '',
          done: true,
          done_reason: 'load',
        };
        return c.json(done);
      }
      const say = ({ content }: Said) => ({ response: content });
      return run(c, body, deps, { model, source: generateSource(body, model), reader: plainReader, say });
    },
  }),
  route({
    method: 'post',
    path: '/api/chat',
    tag: 'Ollama',
    summary: 'Answer a conversation',
    body: ollamaChatBody,
    streams: 'application/x-ndjson',
    answer: (c, body, deps) => {
      const model = findModel(deps, body.model);
      const messages = body.messages ?? [];
      if (messages.length === 0) {
        const message = { role: 'assistant', content: '' };
        return c.json({ model: body.model, created_at: now(deps), message, done: true, done_reason: 'load' });
      }
      checkChat(model);
      const tools = body.tools && body.tools.length > 0 ? body.tools : undefined;
      const source = { chat: { messages: messages as ChatMessage[], tools } };
      const say = ({ content, calls }: Said) => ({
        message: { role: 'assistant', content, ...(calls.length > 0 ? { tool_calls: calls } : {}) },
      });
      return run(c, body, deps, { model, source, reader: tools ? freeCallReader : plainReader, say });
    },
  }),
  route({
    method: 'get',
    path: '/api/tags',
    tag: 'Ollama',
    summary: 'What is loaded',
    answer: (c, _, deps) => c.json({ models: deps.engine.models().map((model) => tagOf(model, deps)) }),
  }),
  route({
    method: 'post',
    path: '/api/show',
    tag: 'Ollama',
    summary: 'One model',
    body: ollamaShowBody,
    answer: (c, body, deps) => {
      const model = findModel(deps, body.model ?? body.name);
      return c.json({
        ...tagOf(model, deps),
        modelfile: '',
        parameters: '',
        template: model.infill ? '{{ .Prompt }}{{ .Suffix }}' : '{{ .Prompt }}',
        model_info: { 'general.architecture': 'tintype', 'tintype.context_length': model.contextLength },
        capabilities: ['completion', ...(model.infill ? ['insert'] : []), ...(model.chat ? ['tools'] : [])],
      });
    },
  }),
  route({
    method: 'get',
    path: '/api/version',
    tag: 'Ollama',
    summary: 'The version of the protocol',
    answer: (c) => c.json({ version: OLLAMA_VERSION }),
  }),
];

const now = ({ nowSeconds }: Deps): string => new Date(nowSeconds() * 1000).toISOString();

const tagOf = ({ id, layout }: ServedModel, { startedAt }: Deps) => ({
  name: `${id}:latest`,
  model: `${id}:latest`,
  modified_at: new Date(startedAt * 1000).toISOString(),
  size: 0,
  digest: '',
  details: {
    parent_model: '',
    format: 'safetensors',
    family: layout,
    families: [layout],
    parameter_size: '',
    quantization_level: '',
  },
});

/** Templated prompts of editors mark their gap; a chat model gets a conversation unless the prompt is raw. */
function generateSource(
  { prompt, suffix, system, raw }: z.infer<typeof ollamaGenerateBody>,
  model: ServedModel,
): RequestSource {
  if (suffix) return { prompt, suffix };
  const gap = markedGap(prompt);
  if (gap) return { prompt: gap.prefix, suffix: gap.suffix };
  if (!model.chat || raw) return { prompt: system ? `${system}\n${prompt}` : prompt, suffix: null };
  const beginning: ChatMessage[] = system ? [{ role: 'system', content: system }] : [];
  return { chat: { messages: [...beginning, { role: 'user', content: prompt }] } };
}

interface Said {
  content: string;
  calls: object[];
}

interface Plan {
  model: ServedModel;
  source: RequestSource;
  reader: () => PieceReader;
  say: (said: Said) => object;
}

async function run(
  c: Ctx,
  body: OllamaBody,
  deps: Deps,
  { model, source, reader, say }: Plan,
): Promise<Response> {
  const options = body.options;
  const predict = options?.num_predict ?? null;
  const seed = options?.seed ?? -1;
  const schema = body.format === 'json' ? { type: 'object' } : body.format || undefined;
  const job: Job = {
    model,
    sources: [source],
    n: 1,
    seed: seed < 0 ? null : seed,
    settings: {
      ...answerLength(predict !== null && predict < 0 ? -1 : predict === 0 ? 1 : predict, model),
      shrink: true,
      overflow: source.chat ? 'throw' : 'keepNearest',
      temperature: Math.min(options?.temperature ?? 0, 2),
      topP: options?.top_p || 1,
      stop: options?.stop ?? [],
      options: optionsOf(body.tintype, { topK: options?.top_k, schema }),
    },
  };
  const head = () => ({ model: body.model, created_at: now(deps) });

  if (!body.stream) {
    const { replies } = await completeJob(c, job, deps);
    const read = reader();
    const said = saidBy([...read.push(replies[0].text), ...read.end()]);
    return c.json({ ...head(), ...say(said), ...finalOf(replies[0]) });
  }
  async function* pieces(): AsyncGenerator<string, void, void> {
    const read = reader();
    for await (const { event } of runJob(c, job, deps)) {
      if (event.type === 'frame') continue;
      const said = saidBy(event.type === 'delta' ? read.push(event.text) : read.end());
      if (said.content !== '' || said.calls.length > 0) yield line({ ...head(), ...say(said), done: false });
      if (event.type !== 'reply') continue;
      note(c, job, [event.reply]);
      yield line({ ...head(), ...say({ content: '', calls: [] }), ...finalOf(event.reply) });
    }
  }
  return streamed(c, pieces(), NDJSON, deps);
}

function saidBy(pieces: readonly Piece[]): Said {
  let content = '';
  const calls: { function: { name: string; arguments: unknown } }[] = [];
  for (const piece of pieces) {
    if (piece.type === 'content') content += piece.text;
    else if (piece.type === 'call') calls.push({ function: { name: piece.name, arguments: {} } });
    // Free calls come whole, so their arguments are whole too.
    else calls.at(-1)!.function.arguments = JSON.parse(piece.text);
  }
  return { content, calls };
}

/** Durations in nanoseconds. */
const finalOf = (reply: CompletionReply) => ({
  done: true,
  done_reason: reply.finishReason,
  total_duration: Math.round((reply.queuedMs + reply.elapsedMs) * 1e6),
  load_duration: 0,
  prompt_eval_count: reply.promptTokens,
  prompt_eval_duration: Math.round(reply.prefillMs * 1e6),
  eval_count: reply.completionTokens,
  eval_duration: Math.round((reply.elapsedMs - reply.prefillMs) * 1e6),
});
