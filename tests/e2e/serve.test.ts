/** The server as a process: what it prints at its start, requests over a socket, and how it ends. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { finished, start, tintype, type Finished } from './run.ts';
import { serve as bundled } from './served.ts';
import { writeTinyModel } from './tiny-model.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-serve-'));
beforeAll(() => writeTinyModel(dir));
afterAll(() => rmSync(dir, { recursive: true }));

const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

interface Served {
  child: ChildProcess;
  url: string;
  /** What it printed before it waited: the address and the line to try. */
  welcome: string;
  end: Promise<Finished>;
}

/** Starts the server on a free port and waits until it says that it serves. */
async function serve(args: string[] = [], env: Record<string, string> = {}): Promise<Served> {
  const child = start(['serve', '--model', dir, '--threads', '1', ...args], env);
  running.push(child);
  const end = finished(child);
  const welcome = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      if (text.includes('curl ') && text.endsWith('\n')) resolve(text);
    });
    end.then(({ stderr }) => reject(new Error(`the server ended: ${stderr}`)), reject);
  });
  return { child, url: /http:\/\/[\d.]+:\d+/.exec(welcome)![0], welcome, end };
}

const json = (response: Response): Promise<any> => response.json();

describe('tintype serve', () => {
  it('answers the request that it prints, names the model after its folder, ends with 0 on SIGTERM', async () => {
    const { child, url, welcome, end } = await serve(['--port', '0']);
    const [, address, body] = /curl -s (\S+) -d '(.+)'/.exec(welcome)!;
    expect(address).toBe(`${url}/v1/fim/completions`);
    const answer = await fetch(address, { method: 'POST', body });
    expect(answer.status).toBe(200);
    const reply = await json(answer);
    expect(reply.model).toBe(basename(dir));
    expect(typeof reply.choices[0].text).toBe('string');
    expect(reply.usage.prompt_tokens).toBeGreaterThan(40);
    expect(reply.usage.completion_tokens).toBeLessThanOrEqual(32);
    expect((await json(await fetch(`${url}/health`))).status).toBe('ok');

    child.kill('SIGTERM');
    const { status, stdout, stderr } = await end;
    expect(status).toBe(0);
    expect(stdout).toContain('finishing running requests');
    const lines = stderr.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).status)).toEqual([200, 200]);
    expect(stderr).not.toContain('function add');
  });

  it('gives the same text for the same seed, and refuses what does not fit the context', async () => {
    const { url } = await serve(['--port', '0']);
    const post = (body: object) =>
      fetch(`${url}/v1/completions`, { method: 'POST', body: JSON.stringify({ max_tokens: 24, ...body }) });
    const sampled = { prompt: 'let x', suffix: ';', temperature: 1, seed: 5 };
    const [one, two] = await Promise.all([post(sampled), post(sampled)]);
    expect((await json(one)).choices).toEqual((await json(two)).choices);

    const long = await post({ prompt: 'x'.repeat(1000) });
    expect(long.status).toBe(400);
    expect((await json(long)).error).toMatchObject({ code: 'context_length_exceeded', param: 'prompt' });
  });

  it('takes options of decoding for tintype-code, and leaves the other bundled models as they are', async () => {
    const served = await bundled(['--mode', 'verify', '--block-length', '4']);
    const { data } = await json(await fetch(`${served.url}/v1/models`));
    expect(data.map(({ id }: { id: string }) => id)).toEqual([
      'tintype-code',
      'tintype-code-ar',
      'tintype-sudoku',
      'tintype-sudoku-ar',
    ]);
    for (const model of ['tintype-code', 'tintype-code-ar']) {
      const body = JSON.stringify({ model, prompt: 'let x = ', max_tokens: 4 });
      expect((await fetch(`${served.url}/v1/completions`, { method: 'POST', body })).status).toBe(200);
    }
    served.child.kill('SIGTERM');
    await served.end;
  });

  it('takes its port from TINTYPE_PORT and says what to do when it is taken', async () => {
    const { url } = await serve(['--port', '0']);
    const port = new URL(url).port;
    const second = start(['serve', '--model', dir], { TINTYPE_PORT: port });
    running.push(second);
    const { status, stderr } = await finished(second);
    expect(status).toBe(1);
    expect(stderr).toContain(`port ${port} on 127.0.0.1 is in use`);
    expect(stderr).toContain('--port');
  });

  it('ends with 2 when the model folder does not exist', async () => {
    const { status, stderr } = await tintype('serve', '--model', '/no/such/model', '--port', '0');
    expect(status).toBe(2);
    expect(stderr).toContain('/no/such/model');
  });
});
