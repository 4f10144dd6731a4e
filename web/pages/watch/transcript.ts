/**
 * Runs as files and links. Both hold the same text: a head, then the lines of the run, one JSON document a line, all of
 * it together one JSON document. A link holds it compressed (raw deflate, base64url) behind `#`, which no server sees.
 */
import { createBreath } from '../../runs/breathe.ts';
import type { SavedRun } from '../../runs/recording.ts';
import type { RunLine, RunRequest } from '../../runs/run.ts';

/** Some browsers and chats cut longer ones. */
export const MOST_LINK = 200_000;
/** Of a link's text, and of a file: what a small link unpacks to has to have an end. */
const MOST_TEXT = 64_000_000;
const MOST_POSITIONS = 65_536;
/** What a long run keeps of each position in a link. */
const FEW_CANDIDATES = 4;

export async function writeTranscript({ request, lines }: SavedRun): Promise<string> {
  const breathe = createBreath();
  const rest: string[] = [];
  for (const line of lines) {
    rest.push(JSON.stringify(line));
    await breathe();
  }
  const head = JSON.stringify({ tintype: 'run', version: 1, request }).slice(0, -1);
  return `${head},"lines":[\n${rest.join(',\n')}\n]}\n`;
}

/** Throws an `Error` that says what is wrong. */
export async function readTranscript(text: string): Promise<SavedRun> {
  const [head, ...rows] = text.split('\n');
  const breathe = createBreath();
  let value: unknown;
  try {
    if (head.endsWith(',"lines":[')) {
      const lines: unknown[] = [];
      for (const row of rows) {
        if (row.startsWith(']}')) break;
        lines.push(JSON.parse(row.endsWith(',') ? row.slice(0, -1) : row));
        await breathe();
      }
      value = { ...(JSON.parse(`${head}]}`) as object), lines };
    } else {
      value = JSON.parse(text);
    }
  } catch (error) {
    throw new Error(`This is no JSON (${error instanceof Error ? error.message : String(error)}).`, {
      cause: error,
    });
  }
  return checkTranscript(value);
}

/** Reads a file, whatever it is. Throws an `Error` that says what is wrong. */
export async function readTranscriptFile(file: File): Promise<SavedRun> {
  if (file.size > MOST_TEXT)
    throw new Error(`${file.name} has ${megabytes(file.size)}; at most ${megabytes(MOST_TEXT)} are read.`);
  const bytes = new Uint8Array(await file.slice(0, 1024).arrayBuffer());
  if (bytes.includes(0))
    throw new Error(`${file.name} is a binary file; a transcript is the JSON that this page saves.`);
  return readTranscript(await file.text());
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

type Unknown = Record<string, unknown>;

const isObject = (value: unknown): value is Unknown => typeof value === 'object' && value !== null;
const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const listOf =
  (check: (value: unknown) => boolean) =>
  (value: unknown): boolean =>
    Array.isArray(value) && value.every(check);
const isLikely = (value: unknown): boolean =>
  isObject(value) && isNumber(value.id) && isNumber(value.probability);
const isSpan = (value: unknown): boolean => isObject(value) && isNumber(value.start) && isNumber(value.end);

/** Which positions there are: the answer's, and all up to the end of the canvas. */
interface Places {
  inside: (value: unknown) => boolean;
  upToEnd: (value: unknown) => boolean;
}

/** What the views read of each kind of line. */
const CHECKS: Record<RunLine['type'], (line: Unknown, places: Places) => boolean> = {
  start: () => true,
  canvas: ({ ids, answerStart }) =>
    listOf(isNumber)(ids) &&
    isNumber(answerStart) &&
    answerStart >= 0 &&
    (ids as unknown[]).length <= MOST_POSITIONS,
  vocabulary: ({ tokens, special }) =>
    isObject(tokens) &&
    Object.values(tokens).every((token) => isText(token) || listOf(isNumber)(token)) &&
    isObject(special) &&
    Object.values(special).every(isText),
  step: ({ nfe, positions, block, elapsedMs }, { upToEnd }) =>
    isNumber(nfe) &&
    isNumber(positions) &&
    isSpan(block) &&
    upToEnd((block as Unknown).end) &&
    isNumber(elapsedMs),
  look: ({ blockLength, blocks, candidates }, { inside }) => {
    const isBlock = (block: unknown): boolean =>
      isObject(block) && isSpan(block.span) && isNumber(block.step) && isNumber(block.masksAtStart);
    const isCandidate = (each: unknown): boolean =>
      isLikely(each) &&
      isObject(each) &&
      inside(each.position) &&
      isNumber(each.entropy) &&
      listOf(isLikely)(each.top);
    return isNumber(blockLength) && listOf(isBlock)(blocks) && listOf(isCandidate)(candidates);
  },
  commit: ({ tokens }, { inside }) =>
    listOf((token) => isLikely(token) && isObject(token) && inside(token.position))(tokens),
  remask: ({ positions }, { inside }) => listOf(inside)(positions),
  block: ({ ids, settledEnd }, { upToEnd }) => listOf(isNumber)(ids) && upToEnd(settledEnd),
  done: ({ ids, usefulTokens, nfe, tpf }) =>
    listOf(isNumber)(ids) && isNumber(usefulTokens) && isNumber(nfe) && isNumber(tpf),
  text: ({ text }) => isText(text),
  reply: () => true,
};

function isRequest(value: unknown): value is RunRequest {
  if (!isObject(value)) return false;
  const { model, source, options = {}, seed = 0, candidates = 0 } = value;
  const isSource =
    isObject(source) &&
    ('canvas' in source || (isText(source.prompt) && (source.suffix === null || isText(source.suffix))));
  return isText(model) && isSource && isObject(options) && isNumber(seed) && isNumber(candidates);
}

function checkTranscript(value: unknown): SavedRun {
  if (!isObject(value) || value.tintype !== 'run') {
    throw new Error('This is no run: a transcript begins with {"tintype":"run".');
  }
  if (value.version !== 1) {
    throw new Error(`This transcript has version ${String(value.version)}; this page reads version 1.`);
  }
  const { request, lines } = value;
  if (!isRequest(request) || !Array.isArray(lines)) {
    throw new Error('This transcript lacks its request or its lines.');
  }
  let [start, end] = [0, 0];
  const places: Places = {
    inside: (position) => Number.isInteger(position) && Number(position) >= start && Number(position) < end,
    upToEnd: (position) => isNumber(position) && position >= 0 && position <= end,
  };
  for (const [i, line] of (lines as unknown[]).entries()) {
    const type = isObject(line) ? (line.type as RunLine['type']) : undefined;
    const check = type !== undefined && Object.hasOwn(CHECKS, type) ? CHECKS[type] : undefined;
    if (!check?.(line as Unknown, places)) {
      throw new Error(`Line ${i + 1} of this transcript is damaged (${String(type)}).`);
    }
    if (type === 'canvas') {
      const { ids, answerStart } = line as { ids: number[]; answerStart: number };
      [start, end] = [answerStart, ids.length];
    }
  }
  if (end <= start) throw new Error('This transcript has no canvas.');
  return { request, lines: lines as RunLine[] };
}

/** The run as a part of an address; how many candidates it keeps; null where even the least is too long. */
export async function packRun(run: SavedRun): Promise<{ packed: string; candidates: number } | null> {
  const all = run.request.candidates ?? 0;
  for (const candidates of all > FEW_CANDIDATES ? [all, FEW_CANDIDATES] : [all]) {
    const packed = toBase64Url(
      await deflate(await writeTranscript(candidates < all ? thin(run, candidates) : run)),
    );
    if (packed.length <= MOST_LINK) return { packed, candidates };
  }
  return null;
}

/** Throws an `Error` that says what is wrong. */
export async function unpackRun(packed: string): Promise<SavedRun> {
  let text: string;
  try {
    text = await inflate(fromBase64Url(packed));
  } catch (error) {
    throw new Error(
      'This link is damaged: it was probably cut. Ask for the whole link, or for the JSON file.',
      {
        cause: error,
      },
    );
  }
  return readTranscript(text);
}

/** With fewer candidates, whose probabilities have four digits; the chosen ones stay exact. */
const thin = ({ request, lines }: SavedRun, candidates: number): SavedRun => ({
  request: { ...request, candidates },
  lines: lines.map((line) =>
    line.type === 'look'
      ? {
          ...line,
          candidates: line.candidates.map((each) => ({
            ...each,
            top: each.top.slice(0, candidates).map(({ id, probability }) => ({
              id,
              probability: id === each.id ? probability : Number(probability.toPrecision(4)),
            })),
          })),
        }
      : line,
  ),
});

const through = (
  bytes: Blob,
  transform: ReadableWritablePair<Uint8Array, BufferSource>,
): ReadableStream<Uint8Array> =>
  bytes.stream().pipeThrough(transform as ReadableWritablePair<Uint8Array, Uint8Array>);

async function deflate(text: string): Promise<Uint8Array> {
  const stream = through(new Blob([text]), new CompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

async function inflate(bytes: Uint8Array): Promise<string> {
  const stream = through(
    new Blob([bytes as Uint8Array<ArrayBuffer>]),
    new DecompressionStream('deflate-raw'),
  );
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const reader = stream.getReader();
  const parts: string[] = [];
  for (let size = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return parts.join('') + decoder.decode();
    size += value.length;
    if (size > MOST_TEXT) throw new Error(`more than ${megabytes(MOST_TEXT)}`);
    parts.push(decoder.decode(value, { stream: true }));
  }
}

function toBase64Url(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000)
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text: string): Uint8Array {
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
