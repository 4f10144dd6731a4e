/** `POST /v1/chat/completions`. */
import { settingsOf, formatSchema } from '../settings.ts';
import type { ChatMessage } from '../../text/chat.ts';
import type { ServedModel } from '../../decode/engine-types.ts';
import { route } from '../deps.ts';
import type { Ctx, Deps, Route } from '../deps.ts';
import { HttpError } from '../errors.ts';
import { completeJob, findModel } from '../jobs.ts';
import type { Job } from '../jobs.ts';
import { chatLogprobs, finishReason, usageOf } from '../openai-shapes.ts';
import type { ChunkShape } from '../openai-shapes.ts';
import { streamJob } from '../openai-stream.ts';
import { chatBody } from '../schemas.ts';
import type { ChatBody, Message } from '../schemas.ts';
import {
  callId,
  callSchema,
  forcedCallReader,
  freeCallReader,
  messageOf,
  plainReader,
} from '../tool-calls.ts';
import type { Piece, PieceReader } from '../tool-calls.ts';

/** Tokens of an answer where nothing else is said. */
export const ANSWER_TOKENS = 512;

export const chatRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/chat/completions',
    aliases: ['/chat/completions'],
    tag: 'OpenAI',
    summary: 'Answer a conversation',
    body: chatBody,
    streams: 'text/event-stream',
    answer: chat,
  }),
];

async function chat(c: Ctx, body: ChatBody, deps: Deps): Promise<Response> {
  const model = findModel(deps, body.model);
  checkChat(model);
  const demanded = callSchema(body);
  const format = formatSchema(body.response_format);
  if (demanded !== null && format !== undefined) {
    throw new HttpError(400, 'response_format: not together with a demanded tool call', {
      param: 'response_format',
      code: 'invalid_value',
    });
  }
  const isOffered = (body.tools ?? []).length > 0 && body.tool_choice !== 'none';
  const reader: () => PieceReader = demanded ? forcedCallReader : isOffered ? freeCallReader : plainReader;
  const logprobs = body.logprobs === true;
  const job: Job = {
    model,
    sources: [
      {
        chat: {
          messages: body.messages.map(templateMessage),
          tools: isOffered ? (body.tools ?? undefined) : undefined,
        },
      },
    ],
    n: body.n,
    seed: body.seed ?? body.random_seed ?? null,
    settings: {
      ...settingsOf(body, demanded ?? format),
      ...answerLength(body.max_completion_tokens ?? body.max_tokens, model),
      stop: body.stop,
      logprobs,
    },
  };
  const base = { id: `chatcmpl-${c.var.requestId}`, created: deps.nowSeconds(), model: model.id };
  const idOf = (choice: number) => (index: number) => callId(c.var.requestId, choice, index);

  if (body.stream) {
    const shape: ChunkShape = {
      base: { ...base, object: 'chat.completion.chunk' },
      open: { delta: { role: 'assistant', content: '' }, finish_reason: null, logprobs: null },
      piece: (piece, choice, tokens) => ({
        delta: deltaOf(piece, idOf(choice)),
        finish_reason: null,
        logprobs: tokens ? chatLogprobs(tokens) : null,
      }),
      canvas: (content) => ({ delta: { content }, finish_reason: null, logprobs: null }),
      finish: (finish_reason) => ({ delta: {}, finish_reason, logprobs: null }),
      reader,
    };
    return streamJob(c, job, deps, { shape, body, logprobs });
  }

  const { replies, tokens, totals } = await completeJob(c, job, deps);
  return c.json({
    ...base,
    object: 'chat.completion',
    choices: replies.map((reply, index) => {
      const read = reader();
      const { content, calls } = messageOf([...read.push(reply.text), ...read.end()], idOf(index));
      return {
        index,
        message: {
          role: 'assistant',
          content: calls.length > 0 && content.trim() === '' ? null : content,
          refusal: null,
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
        },
        finish_reason: finishReason(reply.finishReason, calls.length > 0),
        logprobs: logprobs ? chatLogprobs(tokens[index]) : null,
      };
    }),
    usage: usageOf(totals),
  });
}

function deltaOf(piece: Piece, idOf: (index: number) => string): object {
  if (piece.type === 'content') return { content: piece.text };
  const { index } = piece;
  return {
    tool_calls: [
      piece.type === 'call'
        ? { index, id: idOf(index), type: 'function', function: { name: piece.name, arguments: '' } }
        : { index, function: { arguments: piece.text } },
    ],
  };
}

/** @throws 400 for a model that only completes */
export function checkChat(model: ServedModel): void {
  if (model.chat) return;
  throw new HttpError(
    400,
    `the model ${model.id} completes text and has no chat template, so it cannot answer messages; ` +
      'use /v1/completions or /v1/fim/completions, or serve a model whose folder has a chat template',
    { param: 'model', code: 'chat_unsupported' },
  );
}

/** How long an answer may be: so many tokens exactly, or what the context leaves. */
export function answerLength(
  wanted: number | null | undefined,
  { contextLength }: ServedModel,
  usual = ANSWER_TOKENS,
): { maxTokens: number; shrink: boolean } {
  if (wanted === -1) return { maxTokens: contextLength, shrink: true };
  return wanted === null || wanted === undefined
    ? { maxTokens: usual, shrink: true }
    : { maxTokens: wanted, shrink: false };
}

/** As templates read messages: `developer` is a newer name for `system`, and arguments of calls are objects. */
export function templateMessage(message: Message): ChatMessage {
  const { role, content } = message;
  if (role === 'assistant') {
    const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: text } }) => ({
      id,
      type: 'function',
      function: { name, arguments: parsed(text) },
    }));
    return { role, content: content ?? '', ...(calls.length > 0 ? { tool_calls: calls } : {}) };
  }
  if (role === 'tool')
    return { role, content, ...(message.tool_call_id ? { tool_call_id: message.tool_call_id } : {}) };
  return { role: role === 'user' ? 'user' : 'system', content };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
