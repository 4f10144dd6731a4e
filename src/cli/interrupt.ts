/** Ctrl-C as an `AbortSignal`. */
import { TintypeError } from '../errors.ts';

let controller: AbortController | null = null;

/**
 * Aborts on the first Ctrl-C (or `kill`), so that a command can finish its step and save; the second one ends the
 * program at once. A command that never asks for the signal is simply killed, as any program is.
 */
export function interruptSignal(): AbortSignal {
  if (controller) return controller.signal;
  const created = new AbortController();
  controller = created;
  const stop = (): void => {
    if (created.signal.aborted) process.exit(130);
    created.abort(new TintypeError('aborted', { what: 'interrupted' }));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return created.signal;
}
