/**
 * The split by package. Packages of one author or scope share code, so they count as one family and go to
 * the same side: otherwise a model would have read the held-out code in its sibling.
 */
import { createHash } from 'node:crypto';
import { TintypeError } from '../errors.ts';
import type { CorpusDocument } from './corpus.ts';

/** Families whose names do not show it. `*` stands for any ending. */
const FAMILIES: Record<string, readonly string[]> = {
  effect: ['effect', '@effect/*'],
  wevm: ['viem', 'wagmi', '@wagmi/*', 'ox', 'abitype', 'thirdweb'],
  ethers: ['ethers', '@ethersproject/*'],
  botframework: ['botbuilder*', 'botframework*', 'adaptive-expressions'],
  jupyter: ['@jupyterlab/*', '@lumino/*'],
  visgl: ['@deck.gl/*', '@luma.gl/*', '@loaders.gl/*', '@math.gl/*'],
  expo: ['expo', 'expo-*', '@expo/*'],
  prosemirror: ['prosemirror-*', '@tiptap/*'],
  reactnative: ['react-native', 'react-native-*', '@react-navigation/*', '@react-native/*'],
};

const matches = (name: string, pattern: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Family of a package: from the table, else its scope (`@azure/msal-node` -> `@azure`), else its name. */
export function packageFamily(name: string): string {
  for (const [family, patterns] of Object.entries(FAMILIES)) {
    if (patterns.some((pattern) => matches(name, pattern))) return family;
  }
  return name.startsWith('@') ? name.split('/')[0] : name;
}

/** Which documents are held out: those of named packages (and their families), or a share of all families. */
export type Holdout = { kind: 'packages'; names: readonly string[] } | { kind: 'share'; share: number };

/**
 * The rule as a function. By share, a family is held out if the hash of its name falls below the share, so
 * the choice never depends on what else is in the corpus. A document without a package is a family of its own.
 * @throws bad_option for a share outside [0, 1)
 */
export function createSplit(holdout: Holdout): (document: CorpusDocument) => 'train' | 'heldout' {
  if (holdout.kind === 'packages') {
    const families = new Set(holdout.names.map(packageFamily));
    return ({ pkg }) => (pkg !== null && families.has(packageFamily(pkg)) ? 'heldout' : 'train');
  }
  if (!(holdout.share >= 0 && holdout.share < 1)) {
    throw new TintypeError('bad_option', {
      what: 'The held-out share is out of range',
      got: String(holdout.share),
      wanted: 'a number from 0 up to, but not including, 1',
    });
  }
  return ({ pkg, path, text }) => {
    const name = pkg === null ? (path ?? text) : packageFamily(pkg);
    return unitHash(name) < holdout.share ? 'heldout' : 'train';
  };
}

/** A hash of a text as a number in [0, 1). */
export function unitHash(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
