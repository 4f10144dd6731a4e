/** The thread behind `compile-thread.ts`. */
import { parentPort } from 'node:worker_threads';
import { assert } from '../../errors.ts';
import { sentError } from '../sent-error.ts';
import type { SentError } from '../sent-error.ts';
import { grammarOf } from './grammar.ts';
import type { Constraint } from './grammar.ts';
import { sendGrammar } from './sent-grammar.ts';
import type { SentGrammar } from './sent-grammar.ts';

/** What it tells of the constraint that it was sent. */
export type FromCompiler =
  | { type: 'begun' }
  | { type: 'compiled'; grammar: SentGrammar }
  | { type: 'refused'; error: SentError };

assert(parentPort !== null, 'this file is the entry of a worker thread');
const port = parentPort;
const send = (message: FromCompiler): void => port.postMessage(message);

port.on('message', (constraint: Constraint) => {
  send({ type: 'begun' });
  try {
    send({ type: 'compiled', grammar: sendGrammar(grammarOf(constraint)) });
  } catch (error) {
    send({ type: 'refused', error: sentError(error) });
  }
});
