/** Votes on the server. One that cannot be delivered waits in this browser and is sent when the server is back. */
import { effect, signal } from '@preact/signals';
import { ask } from '../../runs/server.ts';
import { randomId } from '../../random.ts';
import { RunError } from '../../runs/run.ts';
import { remembered, serverState } from '../../state.ts';
import type { Contestant } from './contestants.ts';

export type Outcome = 'top' | 'bottom' | 'both' | 'neither';

export interface NewVote {
  top: Contestant;
  bottom: Contestant;
  outcome: Outcome;
  gap: string;
}
export interface Vote extends NewVote {
  id: string;
  created_at: number;
}

const PATH = '/page/arena/votes';

export const votes = signal<Vote[] | null>(null);
/** Why they cannot be shown or kept. */
export const trouble = signal('');
const waiting = remembered<NewVote[]>('arena.waiting', []);
const voter = remembered('arena.voter', randomId());

const said = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function readVotes(): Promise<void> {
  try {
    const { data } = (await (await ask(PATH)).json()) as { data: Vote[] };
    votes.value = data;
    trouble.value = '';
  } catch (error) {
    trouble.value = `The votes cannot be read: ${said(error)}`;
  }
}

export async function castVote(vote: NewVote): Promise<void> {
  waiting.value = [...waiting.value, vote];
  await deliver();
}

let delivering = false;
async function deliver(): Promise<void> {
  if (delivering) return;
  delivering = true;
  try {
    while (waiting.value.length > 0) {
      const [vote, ...rest] = waiting.value;
      await ask(PATH, { method: 'POST', body: JSON.stringify({ ...vote, voter: voter.value }) });
      waiting.value = rest;
    }
  } catch (error) {
    // What the server will never take must not stand before what it would.
    if (error instanceof RunError && error.code === 'invalid_value') waiting.value = waiting.value.slice(1);
    trouble.value = `Your vote is not on the server yet: ${said(error)}`;
    return;
  } finally {
    delivering = false;
  }
  await readVotes();
}

/** Sends what waits as soon as somebody answers; reads what is there. */
export const followServer = (): (() => void) =>
  effect(() => {
    if (serverState.value === 'ready') void deliver();
  });

/** The newest vote of this browser. @returns what was taken back, or why not */
export async function takeBack(): Promise<string> {
  try {
    const path = `${PATH}/last?voter=${encodeURIComponent(voter.value)}`;
    const { top, bottom } = (await (await ask(path, { method: 'DELETE' })).json()) as Vote;
    await readVotes();
    return `Your vote on ${top.name} and ${bottom.name} is taken back.`;
  } catch (error) {
    return said(error);
  }
}

/** The server's own file, fetched with the key. */
export async function exportVotes(format: 'csv' | 'json'): Promise<string> {
  try {
    const blob = await (await ask(`${PATH}?format=${format}`)).blob();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `arena-votes.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    return `Saved as ${link.download}.`;
  } catch (error) {
    return said(error);
  }
}
