/** Ctrl-C as an `AbortSignal`. */
import { TintypeError } from '../errors.ts';

let controller: AbortController | null = null;

/**
 * Aborts on the first Ctrl-C (or `kill`), so that a command can finish its step and save; a second Ctrl-C ends the
 * program at once. A command that never asks for the signal is simply killed, as any program is.
 */
export function interruptSignal(): AbortSignal {
  if (controller) return controller.signal;
  const created = new AbortController();
  controller = created;
  const stop = (): void => created.abort(new TintypeError('aborted', { what: 'interrupted' }));
  process.on('SIGTERM', stop);
  process.on('SIGINT', () => {
    if (created.signal.aborted) process.exit(130);
    stop();
  });
  return created.signal;
}
