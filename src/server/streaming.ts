/** Streamed answers: server-sent events and lines of JSON, with errors, comments against silence, and cancelling. */
import type { Ctx, Deps } from './deps.ts';
import { toHttpError } from './errors.ts';

export interface StreamFormat {
  contentType: string;
  /** Written when nothing else was for a while; null where the format has no comments. */
  keepAlive: string | null;
  /** An error after the stream has begun. */
  error: (message: string, body: object) => string;
}

export const SSE: StreamFormat = {
  contentType: 'text/event-stream; charset=utf-8',
  // Continue loses data that shares a network chunk with a comment, so this is a write of its own.
  keepAlive: ': keep-alive\n\n',
  error: (_, body) => sse(body),
};

export const NDJSON: StreamFormat = {
  contentType: 'application/x-ndjson',
  keepAlive: null,
  error: (message) => line({ error: message }),
};

export const sse = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;
export const DONE = 'data: [DONE]\n\n';
export const line = (data: object): string => `${JSON.stringify(data)}\n`;

type Step = IteratorResult<string, void> | 'silence';

/** After so long an answer begins even if nothing has come: a status is worth a wait, but not any. */
const FIRST_WAIT_MS = 5_000;

/**
 * An answer made of pieces. An error before the first piece is an ordinary error answer; later it is a piece. When the
 * client leaves, the work is given up.
 */
export async function streamed(
  c: Ctx,
  pieces: AsyncGenerator<string, void, void>,
  format: StreamFormat,
  { logger, keepAliveMs }: Deps,
): Promise<Response> {
  let pending: Promise<IteratorResult<string, void>> | null = null;
  const next = async (waitMs: number): Promise<Step> => {
    pending ??= pieces.next();
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<'silence'>((resolve) => {
      timer = setTimeout(() => resolve('silence'), waitMs);
    });
    const step = await Promise.race([pending, silence]).finally(() => clearTimeout(timer));
    if (step !== 'silence') pending = null;
    return step;
  };

  let first: Step | null = await next(Math.min(FIRST_WAIT_MS, keepAliveMs));
  const encoder = new TextEncoder();
  let finish = (): void => {};
  /** The client has left: a piece that was on its way has nowhere to go, and that is no error. */
  let isLeft = false;
  c.set('finished', new Promise<void>((resolve) => (finish = resolve)));
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const write = (text: string): void => {
          if (!isLeft) controller.enqueue(encoder.encode(text));
        };
        const end = (): void => {
          if (!isLeft) controller.close();
          finish();
        };
        try {
          for (;;) {
            const step = first ?? (await next(keepAliveMs));
            first = null;
            if (isLeft) return;
            if (step === 'silence') {
              if (format.keepAlive === null) continue;
              return write(format.keepAlive);
            }
            return step.done ? end() : write(step.value);
          }
        } catch (error) {
          if (isLeft) return;
          const { status, message, body } = toHttpError(error, c.req.raw.signal.aborted);
          if (status === 500) logger.error({ requestId: c.var.requestId, err: error }, 'failed');
          write(format.error(message, body));
          end();
        }
      },
      async cancel() {
        isLeft = true;
        c.set('log', { ...c.var.log, status: 499 });
        c.var.abort.abort();
        // Nobody waits for it any more.
        pending?.catch(() => {});
        finish();
        await pieces.return();
      },
    },
    { highWaterMark: 0 },
  );
  return c.body(body, 200, {
    'content-type': format.contentType,
    'cache-control': 'no-cache',
    // Proxies such as nginx would collect the pieces.
    'x-accel-buffering': 'no',
  });
}
