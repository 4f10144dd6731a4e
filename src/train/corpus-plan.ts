/** Decides, document by document, what a corpus is used for. Texts are read twice and never all held. */
import { TintypeError } from '../errors.ts';
import { emptyReport, readCorpus } from './corpus.ts';
import type { CorpusDocument, ReadReport } from './corpus.ts';
import { createDeduplicator } from './corpus-dedup.ts';
import { filterReason } from './corpus-filter.ts';
import type { FilterReason } from './corpus-filter.ts';
import { createSplit, unitHash } from './corpus-split.ts';
import type { Holdout } from './corpus-split.ts';

export interface PlanOptions {
  holdout: Holdout;
  /** Most of the training bytes that one package may have, as a share of all; 1 is no limit. */
  packageCap: number;
}

export type Role = 'train' | 'heldout' | null;

export interface CorpusPlan {
  /** What becomes of each document, in reading order. */
  roles: Role[];
  read: ReadReport;
  dropped: Record<FilterReason | 'exact' | 'near' | 'cap', number>;
  /** Bytes of text that stay, by package, largest first. */
  packages: { train: Record<string, number>; heldout: Record<string, number> };
}

/** Package name under which documents without one are listed. */
export const NO_PACKAGE = '(none)';

/**
 * Filters, splits, removes duplicates and caps packages. Training documents come first: a held-out document
 * that resembles one is dropped from the held-out side, because it would flatter the model, while dropping
 * the training document instead would shrink the training set with every held-out package added.
 */
export async function planCorpus(paths: readonly string[], options: PlanOptions): Promise<CorpusPlan> {
  const sideOf = createSplit(options.holdout);
  const dedup = createDeduplicator();
  const dropped = { short: 0, large: 0, longLine: 0, generated: 0, table: 0, exact: 0, near: 0, cap: 0 };
  const roles: Role[] = [];
  const kept: KeptDocument[] = [];
  const consider = (document: CorpusDocument, index: number, role: 'train' | 'heldout'): void => {
    const reason = filterReason(document.text, document.path) ?? dedup.add(document.text);
    if (reason !== null) {
      dropped[reason]++;
      return;
    }
    roles[index] = role;
    const pkg = document.pkg ?? NO_PACKAGE;
    const order = unitHash(`${pkg}/${document.path ?? index}`);
    kept.push({ index, role, pkg, order, bytes: Buffer.byteLength(document.text) });
  };

  const read = emptyReport();
  for await (const document of readCorpus(paths, read)) {
    const index = roles.push(null) - 1;
    if (sideOf(document) === 'train') consider(document, index, 'train');
  }
  let index = 0;
  for await (const document of readCorpus(paths)) {
    if (sideOf(document) === 'heldout') consider(document, index, 'heldout');
    index++;
  }
  for (const { index: over } of overCap(kept, options.packageCap)) {
    roles[over] = null;
    dropped.cap++;
  }
  const packages = {
    train: bytesByPackage(kept, roles, 'train'),
    heldout: bytesByPackage(kept, roles, 'heldout'),
  };
  checkHoldout(options.holdout, packages.heldout);
  return { roles, read, dropped, packages };
}

interface KeptDocument {
  index: number;
  role: 'train' | 'heldout';
  pkg: string;
  /** A number in [0, 1) from the document's name; decides who goes when a package is over its cap. */
  order: number;
  bytes: number;
}

/** Training documents of packages over the cap, last in hash order first. Documents without package are exempt. */
function overCap(kept: readonly KeptDocument[], cap: number): KeptDocument[] {
  const train = kept.filter(({ role }) => role === 'train');
  const limit = cap * train.reduce((sum, { bytes }) => sum + bytes, 0);
  const used = new Map<string, number>();
  return train
    .toSorted((a, b) => a.order - b.order)
    .filter(({ pkg, bytes }) => {
      const total = (used.get(pkg) ?? 0) + bytes;
      if (pkg !== NO_PACKAGE && total > limit) return true;
      used.set(pkg, total);
      return false;
    });
}

function bytesByPackage(
  kept: readonly KeptDocument[],
  roles: readonly Role[],
  role: Role,
): Record<string, number> {
  const bytes = new Map<string, number>();
  for (const document of kept) {
    if (roles[document.index] !== role || document.role !== role) continue;
    bytes.set(document.pkg, (bytes.get(document.pkg) ?? 0) + document.bytes);
  }
  return Object.fromEntries([...bytes].sort((a, b) => b[1] - a[1]));
}

/** A misspelt package name would quietly train on what was to be held out. */
function checkHoldout(holdout: Holdout, heldout: Record<string, number>): void {
  if (holdout.kind !== 'packages') return;
  const missing = holdout.names.filter((name) => heldout[name] === undefined);
  if (missing.length === 0) return;
  throw new TintypeError('bad_option', {
    what: 'Packages to hold out are not in the corpus, or nothing of them passed the filters',
    got: missing.join(', '),
    wanted: 'names as they stand in the field "pkg"',
  });
}

/** The documents of one side, in reading order. */
export async function* documentsOf(
  paths: readonly string[],
  plan: CorpusPlan,
  role: 'train' | 'heldout',
): AsyncGenerator<CorpusDocument> {
  let index = 0;
  for await (const document of readCorpus(paths)) if (plan.roles[index++] === role) yield document;
}
