/** One request of a load over a kept connection, read to its end or left in the middle. */
import { request } from 'node:http';
import type { Agent } from 'node:http';
import type { Asked, Read } from './requests.ts';

export interface Outcome extends Read {
  asked: Asked;
  keyId: string;
  status: number;
  requestId: string;
  /** The client left on purpose. */
  isLeft: boolean;
  /** Until the first byte of the body. */
  firstMs: number;
  retryAfterSeconds: number | null;
}

export interface Key {
  id: string;
  secret: string;
}

/** @param leaveAfter pieces of a stream, then the client goes away */
export function ask(
  url: string,
  agent: Agent,
  key: Key,
  asked: Asked,
  leaveAfter: number | null,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const sent = request(
      url + asked.path,
      { method: 'POST', agent, headers: { authorization: `Bearer ${key.secret}` } },
      (response) => {
        const outcome: Outcome = {
          asked,
          keyId: key.id,
          status: response.statusCode!,
          requestId: String(response.headers['x-request-id']),
          isLeft: false,
          firstMs: 0,
          text: '',
          promptTokens: 0,
          completionTokens: 0,
          retryAfterSeconds: Number(response.headers['retry-after'] ?? 0) || null,
        };
        let rest = '';
        let pieces = 0;
        const take = (json: string): void => {
          const { text = '', ...counts } = asked.read(JSON.parse(json)) ?? {};
          outcome.text += text;
          Object.assign(outcome, counts);
        };
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          if (outcome.firstMs === 0) outcome.firstMs = performance.now() - startedMs;
          rest += part;
          if (!asked.isStream || outcome.status !== 200 || outcome.isLeft) return;
          const lines = rest.split('\n');
          rest = lines.pop()!;
          for (const line of lines) {
            const json = line.startsWith('data: ') ? line.slice(6) : line;
            if (!json.startsWith('{')) continue;
            take(json);
            pieces++;
          }
          if (leaveAfter !== null && pieces >= leaveAfter) {
            outcome.isLeft = true;
            response.destroy();
            resolve(outcome);
          }
        });
        response.on('error', (error) => (outcome.isLeft ? undefined : reject(error)));
        response.on('end', () => {
          if (!asked.isStream && outcome.status === 200) take(rest);
          resolve(outcome);
        });
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify(asked.body));
  });
}
