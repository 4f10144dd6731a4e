/** Asks again and again while somebody looks. */
import { useEffect } from 'preact/hooks';

/** At once, then so often after each answer; not while the page is hidden, and at once when it is shown again. */
export function usePolling(work: (signal: AbortSignal) => Promise<void>, everyMs: number): void {
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isBusy = false;
    const tick = async (): Promise<void> => {
      clearTimeout(timer);
      if (isBusy || document.hidden || signal.aborted) return;
      isBusy = true;
      await work(signal);
      isBusy = false;
      if (!signal.aborted) timer = setTimeout(() => void tick(), everyMs);
    };
    document.addEventListener('visibilitychange', () => void tick(), { signal });
    void tick();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [work, everyMs]);
}

/** An error for people; what a key lacks is said with the way out. */
export function wordsOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === 'insufficient_permissions') {
    return `${message}. Make one with: tintype keys create NAME --scope admin`;
  }
  if (code === 'missing_api_key' || code === 'invalid_api_key') {
    return 'The server asks for a key: enter one with the scope admin above.';
  }
  return message ?? String(error);
}
