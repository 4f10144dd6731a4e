/** The command line as a program: help, exit statuses, errors for people and for programs. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, tintype } from './run.ts';

const folder = join(root, 'src', 'cli');
const commands = readdirSync(folder)
  .filter((name) => /^export function register\b/m.test(readFileSync(join(folder, name), 'utf8')))
  .map((name) => name.replace(/\.ts$/, ''));

describe('tintype', () => {
  it('lists every command of src/cli in its help', async () => {
    expect(commands).toContain('serve');
    const { status, stdout } = await tintype('--help');
    expect(status).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  });

  it.each(commands)('%s has help with examples', async (command) => {
    const { status, stdout } = await tintype(command, '--help');
    expect(status).toBe(0);
    expect(stdout).toContain(`Usage: tintype ${command}`);
    expect(stdout).toMatch(new RegExp(`^  (\\$ )?tintype ${command} .*$`, 'm'));
  });

  it('prints its version', async () => {
    expect(await tintype('--version')).toMatchObject({ status: 0, stdout: '0.1.0\n' });
  });

  it('ends with 2 and a hint when a command or option does not exist', async () => {
    const command = await tintype('inspekt');
    expect(command.status).toBe(2);
    expect(command.stderr).toContain('Did you mean inspect?');
    const option = await tintype('serve', '--prot', '1');
    expect(option.status).toBe(2);
    expect(option.stderr).toContain('Did you mean --port?');
    expect((await tintype()).status).toBe(2);
  });

  it('prints errors as JSON when asked to', async () => {
    const { status, stdout, stderr } = await tintype('inspect', '/no/such/folder', '--json');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatchObject({ code: expect.any(String), what: expect.any(String) });
  });
});
