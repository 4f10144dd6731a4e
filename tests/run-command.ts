/** A command of `tintype` in this process, and what it printed. */
import { Command } from 'commander';
import { vi } from 'vitest';

export async function runCommand(
  registers: readonly ((program: Command) => void)[],
  args: readonly string[],
): Promise<{ out: string; err: string }> {
  const said = { out: '', err: '' };
  const record = (stream: NodeJS.WriteStream, key: 'out' | 'err') =>
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      said[key] += String(text);
      return true;
    });
  const spies = [record(process.stdout, 'out'), record(process.stderr, 'err')];
  try {
    const program = new Command().exitOverride().configureOutput({ outputError: () => {} });
    for (const register of registers) register(program);
    await program.parseAsync(args, { from: 'user' });
    return said;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
