/**
 * Compiles constraints in a thread of its own. Most take a millisecond; some take seconds, and a decoder that waited
 * for them would owe everybody else their steps. One is compiled at a time, and not for ever.
 */
import type { Worker } from 'node:worker_threads';
import { TintypeError } from '../../errors.ts';
import { spawnWorker } from '../../worker.ts';
import { receivedError } from '../sent-error.ts';
import type { FromCompiler } from './compile-worker.ts';
import type { Constraint } from './grammar.ts';
import type { Node } from './nodes.ts';
import { receiveGrammar } from './sent-grammar.ts';

export interface CompileThread {
  /** Errors: those of `grammarOf`; `unsupported` for what takes too long; `aborted`. */
  compile(constraint: Constraint, signal?: AbortSignal): Promise<Node>;
  close(): Promise<void>;
}

export interface CompileOptions {
  /** Of one constraint. */
  mostMs?: number | undefined;
}

export const MOST_COMPILE_MS = 10_000;
/** Constraints whose outcome is kept. */
const MOST_KNOWN = 32;
const MOST_HEAP_MB = 1024;

type Answer = Exclude<FromCompiler, { type: 'begun' }>;

const givenUp = (): TintypeError => new TintypeError('aborted', { what: 'the request was given up' });

export function createCompileThread({ mostMs = MOST_COMPILE_MS }: CompileOptions = {}): CompileThread {
  const known = new Map<string, { grammar: Node } | { error: unknown }>();
  let worker: Worker | null = null;
  let line: Promise<unknown> = Promise.resolve();

  const end = async (): Promise<void> => {
    const ending = worker;
    worker = null;
    await ending?.terminate();
  };

  function ask(constraint: Constraint, signal: AbortSignal | undefined): Promise<Answer> {
    const asked = (worker ??= spawnWorker(import.meta.url, 'compile-worker', {
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB },
    }));
    let clean = (): void => {};
    return new Promise<Answer>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const late = (got: string): void =>
        reject(
          new TintypeError('unsupported', {
            what: 'this constraint is too large to be compiled',
            got,
            next: 'simplify its patterns, above all several for one string, or check the finished text instead',
          }),
        );
      const told = (message: FromCompiler): void => {
        if (message.type !== 'begun') return resolve(message);
        timer = setTimeout(() => late(`not compiled after ${mostMs / 1000} s`), mostMs);
      };
      const failed = (error: Error): void => late(error.message);
      const exited = (): void => late('the compiler ended');
      const left = (): void => reject(givenUp());
      clean = () => {
        clearTimeout(timer);
        asked.off('message', told).off('error', failed).off('exit', exited);
        signal?.removeEventListener('abort', left);
      };
      asked.on('message', told).on('error', failed).on('exit', exited);
      signal?.addEventListener('abort', left, { once: true });
      asked.postMessage(constraint);
    }).finally(() => clean());
  }

  async function compile(constraint: Constraint, signal: AbortSignal | undefined): Promise<Node> {
    if (signal?.aborted) throw givenUp();
    const key = JSON.stringify([constraint.schema, constraint.regex]);
    let outcome = known.get(key);
    if (!outcome) {
      const message = await ask(constraint, signal).catch(async (error: unknown) => {
        // It is still at work on what nobody waits for.
        await end();
        throw error;
      });
      outcome =
        message.type === 'compiled'
          ? { grammar: receiveGrammar(message.grammar) }
          : { error: receivedError(message.error) };
      if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value!);
      known.set(key, outcome);
    }
    if ('grammar' in outcome) return outcome.grammar;
    throw outcome.error;
  }

  return {
    compile(constraint, signal) {
      const compiled = line.then(() => compile(constraint, signal));
      line = compiled.catch(() => {});
      return compiled;
    },
    async close() {
      await end();
    },
  };
}
