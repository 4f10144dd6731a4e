/** The package as its users meet it: what `import 'tintype'` gives, at run time and to the type checker. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from './run.ts';

const project = mkdtempSync(join(tmpdir(), 'tintype-user-'));
afterAll(() => rmSync(project, { recursive: true }));

mkdirSync(join(project, 'node_modules'));
symlinkSync(root, join(project, 'node_modules', 'tintype'), 'dir');
writeFileSync(join(project, 'package.json'), '{"type":"module"}');

const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });

describe('the built command', () => {
  it.skipIf(process.platform === 'win32')('may be executed, as `npx tintype` does', () => {
    const program = join(root, 'dist', 'cli', 'main.js');
    const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('import "tintype"', () => {
  it('works from another project', () => {
    writeFileSync(
      join(project, 'use.js'),
      `import { createRng, parameterCount } from 'tintype'; console.log(createRng(1).int(10), typeof parameterCount);`,
    );
    const { status, stdout, stderr } = run('use.js');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\d function\n$/);
  });

  it('has types that a strict project checks against', () => {
    writeFileSync(
      join(project, 'use.ts'),
      `import { createRng, TintypeError, type ErrorCode, type Layout } from 'tintype';
       export const n: number = createRng(1).int(3);
       export const code: ErrorCode = new TintypeError('io', { what: 'x' }).code;
       export const layout: Layout = 'full';
       // @ts-expect-error a layout that does not exist
       export const wrong: Layout = 'sideways';`,
    );
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--ignoreConfig'];
    const nodeTypes = ['--typeRoots', join(root, 'node_modules', '@types'), '--types', 'node'];
    const { status, stdout } = run(tsc, ...flags, ...nodeTypes, 'use.ts');
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});
