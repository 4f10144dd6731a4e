/** Logs of training runs, read on from where one stopped. */
import { ask } from '../../runs/server.ts';
import { parseRunLog } from '../../../src/train/curves.ts';
import type { RunLog } from '../../../src/train/curves.ts';

export interface ListedRun {
  id: string;
  size_bytes: number;
  /** Unix time, seconds. */
  changed_at: number;
}

export interface RunList {
  /** Of the server's clock, to compare with. */
  now: number;
  data: ListedRun[];
}

interface Piece {
  from: number;
  next: number;
  size: number;
  text: string;
}

/** A run as far as it was read. */
export interface ReadRun {
  id: string;
  text: string;
  next: number;
  log: RunLog;
  about: About;
}

export interface About {
  parameters: number | null;
  totalTokens: number | null;
  /** Why it ended; null while it may go on. */
  ended: string | null;
}

export const listRuns = async (signal: AbortSignal): Promise<RunList> =>
  (await (await ask('/page/runs', { signal })).json()) as RunList;

/** What has come since; the same object when nothing has. */
export async function readOn(id: string, known: ReadRun | undefined, signal: AbortSignal): Promise<ReadRun> {
  let { text, next } = known ?? { text: '', next: 0 };
  for (;;) {
    const path = `/page/runs/log?run=${encodeURIComponent(id)}&offset=${next}`;
    const piece = (await (await ask(path, { signal })).json()) as Piece;
    // The log was begun anew.
    if (piece.from < next) text = '';
    const isNews = piece.next !== next;
    text += piece.text;
    next = piece.next;
    if (!isNews || next >= piece.size) break;
  }
  if (known && known.next === next && known.text.length === text.length) return known;
  return { id, text, next, log: { ...parseRunLog(text, id), name: id }, about: aboutOf(text) };
}

interface StartLine {
  type?: string;
  parameters?: number;
  reason?: string;
  config?: { schedule?: { totalTokens?: number } };
}

function aboutOf(text: string): About {
  const about: About = { parameters: null, totalTokens: null, ended: null };
  for (const line of text.split('\n')) {
    if (!/"type":"(start|end)"/.test(line)) continue;
    let event: StartLine;
    try {
      event = JSON.parse(line) as StartLine;
    } catch {
      continue;
    }
    if (event.type === 'start') {
      about.parameters = event.parameters ?? null;
      about.totalTokens = event.config?.schedule?.totalTokens ?? null;
      about.ended = null;
    }
    if (event.type === 'end') about.ended = event.reason ?? 'finished';
  }
  return about;
}
