/** --unpacked: one option of every command that decodes, and what it reaches. */
import { Command } from 'commander';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { createEngine } from '../decode/engine.ts';
import { register as registerBench } from './bench.ts';
import { register as registerChat } from './chat.ts';
import { register as registerComplete } from './complete.ts';
import { register as registerEval } from './eval.ts';
import { register as registerInfill } from './infill.ts';
import { register as registerServe } from './serve.ts';

const model = fileURLToPath(new URL('../../models/tintype-code', import.meta.url));
const asked = [
  'complete',
  '-',
  '--prefix',
  'const a = ',
  '--max-tokens',
  '8',
  '--model',
  model,
  '--no-tuned',
];
const complete = (...more: string[]) => runCommand([registerComplete], [...asked, ...more]);

it('is one and the same in all of them', () => {
  const program = new Command();
  const registers = [
    registerBench,
    registerChat,
    registerComplete,
    registerEval,
    registerInfill,
    registerServe,
  ];
  for (const register of registers) register(program);
  const fim = program.commands.find((each) => each.name() === 'eval')!.commands;
  const commands = [...program.commands, ...fim].filter((each) =>
    ['bench', 'chat', 'complete', 'fim', 'infill', 'serve'].includes(each.name()),
  );
  const options = commands.flatMap((each) => each.options.filter(({ long }) => long === '--unpacked'));
  expect(options).toHaveLength(6);
  expect(new Set(options.map(({ description }) => description)).size).toBe(1);
});

it('changes no text', async () => {
  expect((await complete('--unpacked')).out).toBe((await complete()).out);
});

it('is for f32 alone, also in the thread of the server', async () => {
  const refused = { code: 'bad_option', message: expect.stringContaining('--unpacked') as string };
  await expect(complete('--unpacked', '--precision', 'int8')).rejects.toMatchObject(refused);
  const engine = createEngine({
    modelDirs: [model],
    threads: 1,
    packed: false,
    precisions: { 'tintype-code': 'int8' },
  });
  await expect(engine).rejects.toMatchObject(refused);
});
