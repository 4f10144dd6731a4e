/** What a flag that makes no sense is told, before a model is loaded. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { TintypeError } from '../errors.ts';
import { register as registerBench } from './bench.ts';
import { register as registerComplete } from './complete.ts';
import { addDecodeOptions, decodeOptionsOf } from './decode-options.ts';
import { register as registerEval } from './eval.ts';
import { register as registerInfill } from './infill.ts';
import { register as registerServe } from './serve.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-options-'));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

function parse(...args: string[]): ReturnType<typeof decodeOptionsOf> {
  const command = addDecodeOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  command.parse(args, { from: 'user' });
  return decodeOptionsOf(command.opts());
}

function refusal(...args: string[]): string {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof TintypeError) expect(error.exitStatus).toBe(2);
    return (error as Error).message;
  }
  throw new Error(`${args.join(' ')} was taken`);
}

describe('options of decoding on the command line', () => {
  it.each([
    [['--policy', 'nope'], /fixedSteps, .*prophet/],
    [['--mode', 'turbo'], /diffusion, verify, ar/],
    [['--precision', 'int2'], /f32, int8, int4/],
    [['--cache', 'all'], /none, block, prefix, dual, interstep/],
    [['--draft', 'nobody'], /self, ar/],
    [['--sampler', 'nope'], /wanted: .*official/],
    [['--threshold', '7'], /a number from 0 to 2/],
    [['--threshold', 'much'], /got: {4}"much"\n.*a number from 0 to 2/],
    [['--steps', '0'], /a whole number from 1 to 65536/],
    [['--history', '1.5'], /a whole number from 1 to 64/],
    [['--block-length', '-3'], /a whole number from 1 to 65536/],
    [['--refresh-every', '0'], /a whole number from 1 to 65536/],
    [['--max-tokens', '0'], /a whole number from 1 to 65536/],
    [['--temperature', '99'], /a number from 0 to 10/],
    [['--seed', '-1'], /a whole number from 0/],
    [['--logit-bias', '5'], /ids of tokens/],
    [['--logit-bias', '{"word": 5}'], /ids of tokens/],
    [['--logit-bias', '{"5": 500}'], /a number from -100 to 100/],
    [['--logit-bias', '{5}'], /--logit-bias is not JSON/],
    [['--schema', join(dir, 'missing.json')], /cannot read .*missing\.json/],
    [['--schema', file('text.json', 'nope')], /text\.json is not JSON\n {2}got: {4}"nope": Unexpected token/],
    [['--schema', file('any.json', '{}'), '--regex', 'a'], /--schema and --regex/],
  ])('%j', (args, message) => {
    expect(refusal(...args)).toMatch(message);
  });

  it('become those of the interface', () => {
    const schema = file('number.json', '{"type": "number"}');
    const args = ['--policy', 'klass', '--kl', '0.5', '--logit-bias', '{"5": -1}', '--schema', schema];
    expect(parse(...args, '--stop', 'a', '--stop', '\n', '--max-tokens', '9')).toMatchObject({
      policy: 'klass',
      kl: 0.5,
      logitBias: { 5: -1 },
      schema: { type: 'number' },
      stop: ['a', '\n'],
      maxTokens: 9,
    });
    expect(parse()).not.toHaveProperty('stop');
  });

  it('are all taken by every command that decodes, but for those that mean something else there', () => {
    const program = new Command();
    for (const register of [registerComplete, registerInfill, registerEval, registerBench, registerServe])
      register(program);
    const optionsOf = ({ options }: Command): string[] => options.map(({ long }) => long!);
    const all = optionsOf(addDecodeOptions(new Command()));
    const paths = [['complete'], ['infill'], ['eval', 'fim'], ['bench'], ['serve']];
    for (const path of paths) {
      const command = path.reduce<Command>(
        (at, name) => at.commands.find((each) => each.name() === name)!,
        program,
      );
      const missing = all.filter((option) => !optionsOf(command).includes(option));
      expect([path, missing]).toEqual([path, path[0] === 'bench' ? ['--draft'] : []]);
    }
  });
});
