/** `tintype complete` and `tintype infill` as programs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finished, start, tintype } from './run.ts';
import { writeTinyModel } from './tiny-model.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-complete-'));
const model = join(dir, 'model');
const file = join(dir, 'app.ts');
const MODEL = ['--model', model, '--threads', '1'];
beforeAll(async () => {
  await writeTinyModel(model);
  writeFileSync(file, 'const a = 1;\nconst b = \n');
});
afterAll(() => rmSync(dir, { recursive: true }));

/** With something on standard input. */
const piped = (input: string, ...args: string[]) => {
  const child = start(args);
  child.stdin?.end(input);
  return finished(child);
};

describe('tintype complete', () => {
  it('prints the completion alone, the same for the same seed', async () => {
    const args = [
      'complete',
      `${file}:2:11`,
      ...MODEL,
      '--max-tokens',
      '12',
      '--temperature',
      '1',
      '--seed',
      '7',
    ];
    const [once, again, other] = [
      await tintype(...args),
      await tintype(...args),
      await tintype(...args, '--seed', '8'),
    ];
    expect(once).toMatchObject({ status: 0, stderr: '' });
    expect(again.stdout).toBe(once.stdout);
    expect(other.stdout).not.toBe(once.stdout);
  });

  it('prints the whole transcript as JSON, and draws it', async () => {
    const svg = join(dir, 'run.svg');
    const { stdout } = await tintype(
      'complete',
      `${file}:2:11`,
      ...MODEL,
      '--max-tokens',
      '12',
      '--json',
      '--svg',
      svg,
    );
    const run = JSON.parse(stdout);
    expect(run).toMatchObject({
      model: 'model',
      text: expect.any(String),
      options: { maxTokens: 12, policy: 'confidenceThreshold' },
    });
    expect(run.promptTokens).toBe(3 + readFileSync(file, 'utf8').length);
    const types = new Set(run.events.map((event: { type: string }) => event.type));
    expect(types).toEqual(new Set(['step', 'commit', 'block', 'done']));
    expect(readFileSync(svg, 'utf8')).toContain('<title>model: ');
  });

  it('shows each forward as a line where there is no terminal', async () => {
    const args = ['complete', '-', '--prefix', 'let a', ...MODEL, '--max-tokens', '8'];
    const plain = await tintype(...args);
    const { stdout } = await tintype(...args, '--show');
    expect(stdout).toMatch(/^ {2}1 prefill +\d+ masks? *\| \[/);
    expect(stdout.endsWith(`\n${plain.stdout}\n`)).toBe(true);
    expect((await tintype(...args, '--show', '--pace', '1')).stdout).toBe(stdout);
  });

  it('takes the prefix from standard input', async () => {
    const args = [...MODEL, '--max-tokens', '8'];
    const byOption = await tintype('complete', '-', '--prefix', 'let a', '--suffix', ';', ...args);
    expect((await piped('let a', 'complete', '-', '--suffix', ';', ...args)).stdout).toBe(byOption.stdout);
  });

  it('keeps the text nearest to the cursor, and says so', async () => {
    const { status, stderr } = await piped('x'.repeat(500), 'complete', '-', ...MODEL, '--max-tokens', '56');
    expect(status).toBe(0);
    expect(stderr).toContain('the text has 500 tokens and the prompt room for 200');
    expect(stderr).toContain('left out the first 300 characters before the gap');
  });

  it.each([
    [['complete', 'app.ts'], 'FILE:LINE:COLUMN'],
    [['complete', `${file}:9:1`], 'a line from 1 to 3'],
    [['complete', `${file}:1:99`], 'a column from 1 to 13'],
    [['complete', `${file}:1:1`, '--suffix', 'x'], '- as the place'],
    [['complete', '/no/such/file:1:1'], 'cannot read /no/such/file'],
    [['complete', `${file}:1:1`, '--threshold', '7'], 'a number from 0 to 2'],
    [['complete', `${file}:1:1`, '--steps', 'many'], 'a whole number from 1 to 65536'],
    [['complete', `${file}:1:1`, '--pace', '9'], 'add --show'],
    [['infill', file], 'there is no gap in'],
    [['infill', '-', '--in-place'], '--in-place needs a file'],
  ])('ends with 2 and says what would be right: %j', async (args, wanted) => {
    const { status, stdout, stderr } = await piped('', ...args, ...MODEL);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(wanted);
  });
});

describe('tintype infill', () => {
  it('fills every gap, on standard output or in the file', async () => {
    const draft = join(dir, 'draft.ts');
    writeFileSync(draft, 'const a = <|hole|>;\nconst b = <|hole|>;\n');
    const args = ['infill', draft, ...MODEL, '--max-tokens', '6'];
    const json = JSON.parse((await tintype(...args, '--json')).stdout);
    expect(json.holes).toHaveLength(2);
    const [a, b] = json.holes.map(({ text }: { text: string }) => text);
    expect(json.text).toBe(`const a = ${a};\nconst b = ${b};\n`);
    expect((await tintype(...args)).stdout).toBe(json.text);
    expect(await tintype(...args, '--in-place')).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(draft, 'utf8')).toBe(json.text);
    expect(readdirSync(dir).toSorted()).toEqual(['app.ts', 'draft.ts', 'model', 'run.svg']);
  });
});
