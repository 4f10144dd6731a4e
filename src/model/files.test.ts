import { createHash } from 'node:crypto';
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  commitFiles,
  type Disk,
  nodeDisk,
  openSafetensors,
  settle,
  sha256OfFile,
  verifyHashes,
} from './files.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-files-'));
});
afterEach(() => rm(dir, { recursive: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const save = (version: string, disk?: Disk): Promise<void> =>
  commitFiles(
    dir,
    ['a.txt', 'b.txt', 'c.txt'].map((name) => [name, [bytes(`${version} `), bytes(name)]] as const),
    disk,
  );
const read = async (): Promise<string[]> =>
  Promise.all(['a.txt', 'b.txt', 'c.txt'].map((name) => readFile(join(dir, name), 'utf8')));
const state = (version: string): string[] => ['a.txt', 'b.txt', 'c.txt'].map((name) => `${version} ${name}`);

/** A disk that does `steps` steps and then never answers, as seen from outside when the program is killed. */
function dyingDisk(steps: number): { disk: Disk; died: Promise<void> } {
  let left = steps;
  let die = (): void => {};
  const died = new Promise<void>((resolve) => (die = resolve));
  const hang = (): Promise<void> => {
    die();
    return new Promise(() => {});
  };
  return {
    died,
    disk: {
      write: async (file, chunk) => {
        if (left-- > 0) return nodeDisk.write(file, chunk);
        await file.close();
        return hang();
      },
      rename: (from, to) => (left-- > 0 ? nodeDisk.rename(from, to) : hang()),
    },
  };
}

describe('commitFiles', () => {
  test('killed at any step, the folder holds the old state or the new one, never a mixture', async () => {
    const outcomes: string[] = [];
    for (let steps = 0; ; steps++) {
      await save('old');
      const { disk, died } = dyingDisk(steps);
      const done = await Promise.race([save('new', disk).then(() => true), died.then(() => false)]);
      await settle(dir);
      const found = await read();
      expect([state('old'), state('new')]).toContainEqual(found);
      await verifyHashes(dir, ['a.txt', 'b.txt', 'c.txt']);
      outcomes.push(found[0].split(' ')[0]);
      if (done) break;
    }
    // Seven writes and the commit; then four moves, during which the new state is already the truth.
    expect(outcomes.join(' ')).toBe(`${'old '.repeat(8)}${'new '.repeat(5)}`.trim());
  });

  test('a full disk leaves the previous files, cleans up and says so', async () => {
    await save('old');
    const full: Disk = {
      ...nodeDisk,
      write: async (file, chunk) => {
        if (chunk.length > 4)
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        return nodeDisk.write(file, chunk);
      },
    };
    await expect(save('new', full)).rejects.toMatchObject({
      code: 'io',
      parts: { what: expect.stringContaining('untouched'), got: expect.stringContaining('full') },
    });
    expect(await read()).toEqual(state('old'));
    expect((await readdir(dir)).toSorted()).toEqual(['SHA256SUMS', 'a.txt', 'b.txt', 'c.txt']);
  });

  test('a content that cannot be produced passes its own error on', async () => {
    await save('old');
    const failing = function* (): Generator<Uint8Array> {
      yield bytes('x');
      throw new Error('no such tensor');
    };
    await expect(commitFiles(dir, [['a.txt', failing()]])).rejects.toThrow('no such tensor');
    expect(await read()).toEqual(state('old'));
  });

  test('other files stay, and the hashes of earlier transactions are kept', async () => {
    await writeFile(join(dir, 'README.md'), 'card');
    await save('old');
    await commitFiles(dir, [['d.txt', [bytes('d')]]]);
    expect(await readFile(join(dir, 'README.md'), 'utf8')).toBe('card');
    const sums = await readFile(join(dir, 'SHA256SUMS'), 'utf8');
    expect(sums.match(/^[0-9a-f]{64} {2}[abcd]\.txt$/gm)).toHaveLength(4);
    const hash = createHash('sha256').update('d').digest('hex');
    expect(await verifyHashes(dir, ['d.txt', 'README.md'])).toEqual({ 'd.txt': hash });
  });

  test('a folder that cannot be made', async () => {
    await writeFile(join(dir, 'file'), '');
    await expect(commitFiles(join(dir, 'file'), [])).rejects.toMatchObject({ code: 'io' });
  });
});

describe('hashes', () => {
  test('a changed file is named with both hashes', async () => {
    await save('old');
    await writeFile(join(dir, 'b.txt'), 'old b.txT');
    await expect(verifyHashes(dir, ['a.txt', 'b.txt'])).rejects.toMatchObject({
      code: 'bad_checkpoint',
      parts: { what: expect.stringContaining('b.txt'), got: expect.stringMatching(/^sha256 [0-9a-f]{64}$/) },
    });
  });

  test('a record that is not one', async () => {
    await writeFile(join(dir, 'SHA256SUMS'), 'd41d8cd98f00b204e9800998ecf8427e  a.txt\n');
    await expect(verifyHashes(dir, ['a.txt'])).rejects.toThrow(/a line that is not a hash/);
  });

  test('SHA-256 of a file, and of one that is not there', async () => {
    await writeFile(join(dir, 'abc'), 'abc');
    expect(await sha256OfFile(join(dir, 'abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    await expect(sha256OfFile(join(dir, 'abd'))).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('openSafetensors', () => {
  const source = new URL('../../fixtures/checkpoints/ar-qwen3/model.safetensors', import.meta.url);

  test('reads tensors one by one', async () => {
    const file = await openSafetensors(source.pathname);
    const entry = file.header.entries.find(({ name }) => name === 'model.norm.weight')!;
    const floats = await file.readFloats(entry);
    const whole = await readFile(source);
    const at = whole.length - file.header.entries.at(-1)!.end + entry.begin;
    expect([...floats]).toEqual([...new Float32Array(new Uint8Array(whole.subarray(at, at + 192)).buffer)]);
    await file.close();
  });

  test('a file cut anywhere is refused before anything is read', async () => {
    const whole = await readFile(source);
    for (const length of [0, 7, 8, 100, 2447, 2448, whole.length - 1]) {
      await writeFile(join(dir, 'cut.safetensors'), whole.subarray(0, length));
      await expect(openSafetensors(join(dir, 'cut.safetensors'))).rejects.toMatchObject({
        code: 'bad_checkpoint',
      });
    }
  });

  test('integers are not weights', async () => {
    const header = '{"n":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}  ';
    const length = Buffer.from(BigUint64Array.of(BigInt(header.length)).buffer);
    await writeFile(
      join(dir, 'i.safetensors'),
      Buffer.concat([length, Buffer.from(header), Buffer.alloc(4)]),
    );
    const file = await openSafetensors(join(dir, 'i.safetensors'));
    await expect(file.readFloats(file.header.entries[0])).rejects.toMatchObject({ code: 'unsupported' });
    await file.close();
  });

  test('a missing file, and a folder in its place', async () => {
    await expect(openSafetensors(join(dir, 'none'))).rejects.toMatchObject({ code: 'not_found' });
    await mkdir(join(dir, 'folder'));
    await expect(openSafetensors(join(dir, 'folder'))).rejects.toMatchObject({ code: 'io' });
  });
});
