/**
 * Calls of tools in the text of an answer. Where a call is demanded, decoding is held to one JSON object,
 * `{"name":…,"arguments":…}`; where it is free, calls stand between `<tool_call>` and `</tool_call>` as chat templates of
 * the Hermes kind (Qwen's among them) teach models to write.
 */
import type { ChatBody, Tool } from './schemas.ts';
import { HttpError } from './errors.ts';

export type Piece =
  | { type: 'content'; text: string }
  | { type: 'call'; index: number; name: string }
  | { type: 'arguments'; index: number; text: string };

/** A fold: text in as it settles, what it means out. The pieces of any cutting of a text are the same, joined. */
export interface PieceReader {
  push(text: string): Piece[];
  end(): Piece[];
}

/** What the request demands: a schema for the whole answer, or null when the model is free. */
export function callSchema({
  tools,
  tool_choice: choice,
}: Pick<ChatBody, 'tools' | 'tool_choice'>): object | null {
  if (choice === null || choice === undefined || choice === 'none' || choice === 'auto') return null;
  const known = tools ?? [];
  const wanted =
    typeof choice === 'object' ? known.filter((tool) => tool.function.name === choice.function.name) : known;
  if (wanted.length === 0) {
    const message = known.length === 0 ? 'no tools are given' : 'expected the name of one of the tools';
    throw new HttpError(400, `tool_choice: ${message}`, {
      param: 'tool_choice',
      code: 'invalid_value',
    });
  }
  return wanted.length === 1
    ? schemaOfCall(wanted[0], '#')
    : { anyOf: wanted.map((tool, i) => schemaOfCall(tool, `#/anyOf/${i}`)) };
}

/** @param at where it will stand, as a JSON pointer */
const schemaOfCall = ({ function: { name, parameters } }: Tool, at: string): object => ({
  type: 'object',
  properties: {
    name: { const: name },
    arguments: rebased(parameters ?? { type: 'object' }, `${at}/properties/arguments`),
  },
  required: ['name', 'arguments'],
  additionalProperties: false,
});

/** A schema whose own references still hold inside another one. */
function rebased(schema: unknown, at: string): unknown {
  if (Array.isArray(schema)) return schema.map((part) => rebased(part, at));
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) =>
      key === '$ref' && typeof value === 'string' && (value === '#' || value.startsWith('#/'))
        ? [key, at + value.slice(1)]
        : [key, rebased(value, at)],
    ),
  );
}

/** Texts with nothing special in them. */
export const plainReader = (): PieceReader => ({
  push: (text) => (text === '' ? [] : [{ type: 'content', text }]),
  end: () => [],
});

const HEAD = /^\{"name":"((?:[^"\\]|\\.)*)","arguments":/;

/** An answer that is one call, as `callSchema` demands it. */
export function forcedCallReader(): PieceReader {
  let text = '';
  let told: number | null = null;
  const tell = (end: number): Piece[] => {
    if (told === null || end <= told) return [];
    const piece: Piece = { type: 'arguments', index: 0, text: text.slice(told, end) };
    told = end;
    return [piece];
  };
  return {
    push(more) {
      text += more;
      const pieces: Piece[] = [];
      if (told === null) {
        const head = HEAD.exec(text);
        if (!head) return [];
        told = head[0].length;
        pieces.push({ type: 'call', index: 0, name: JSON.parse(`"${head[1]}"`) as string });
      }
      // The last character may be the brace that closes the call, not its arguments.
      return [...pieces, ...tell(text.length - 1)];
    },
    end: () => tell(text.endsWith('}') ? text.length - 1 : text.length),
  };
}

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/** An answer that may hold calls between text. What is no call after all stays text. */
export function freeCallReader(): PieceReader {
  let buffer = '';
  let calls = 0;

  function read(isLast: boolean): Piece[] {
    const pieces: Piece[] = [];
    const say = (text: string): void => {
      if (text !== '') pieces.push({ type: 'content', text });
    };
    for (;;) {
      const open = buffer.indexOf(OPEN);
      if (open < 0) {
        const kept = isLast ? 0 : overlap(buffer, OPEN);
        say(buffer.slice(0, buffer.length - kept));
        buffer = buffer.slice(buffer.length - kept);
        return pieces;
      }
      say(buffer.slice(0, open));
      buffer = buffer.slice(open);
      const close = buffer.indexOf(CLOSE);
      if (close < 0 && !isLast) return pieces;
      const inner = close < 0 ? buffer.slice(OPEN.length) : buffer.slice(OPEN.length, close);
      const call = parseCall(inner);
      const end = close < 0 ? buffer.length : close + CLOSE.length;
      if (call) {
        pieces.push(
          { type: 'call', index: calls, name: call.name },
          { type: 'arguments', index: calls++, text: call.arguments },
        );
      } else say(buffer.slice(0, end));
      buffer = buffer.slice(end);
    }
  }

  return {
    push(text) {
      buffer += text;
      return read(false);
    },
    end: () => read(true),
  };
}

function parseCall(text: string): { name: string; arguments: string } | null {
  try {
    const call = JSON.parse(text) as { name?: unknown; arguments?: unknown } | null;
    if (typeof call?.name !== 'string') return null;
    return { name: call.name, arguments: JSON.stringify(call.arguments ?? {}) };
  } catch {
    return null;
  }
}

/** How many of the last characters may be the beginning of a word. */
function overlap(text: string, word: string): number {
  for (let length = Math.min(word.length - 1, text.length); length > 0; length--)
    if (text.endsWith(word.slice(0, length))) return length;
  return 0;
}

export interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

export const callId = (requestId: string, choice: number, index: number): string =>
  `call_${requestId.replaceAll('-', '').slice(0, 20)}_${choice}_${index}`;

/** The message that pieces make. */
export function messageOf(
  pieces: readonly Piece[],
  idOf: (index: number) => string,
): { content: string; calls: ToolCall[] } {
  let content = '';
  const calls: ToolCall[] = [];
  for (const piece of pieces) {
    if (piece.type === 'content') content += piece.text;
    else if (piece.type === 'call')
      calls.push({ id: idOf(piece.index), type: 'function', function: { name: piece.name, arguments: '' } });
    else calls[piece.index].function.arguments += piece.text;
  }
  return { content, calls };
}
