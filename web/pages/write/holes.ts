/**
 * Holes: stretches of text that the model is to write anew. The old text stays in the document, unseen, until the new one
 * takes its place: a hole can be closed again, a file saved in between is whole, and undo brings the old text back.
 */
import { isolateHistory } from '@codemirror/commands';
import { MapMode, Prec, RangeSetBuilder, StateEffect, StateField } from '@codemirror/state';
import type { ChangeDesc, EditorState, Text, TransactionSpec } from '@codemirror/state';
import { Decoration, EditorView, keymap, WidgetType } from '@codemirror/view';
import type { Command, DecorationSet } from '@codemirror/view';
import { MASK_GLYPH } from '../../../src/decode/canvas-frames.ts';
import type { CanvasPiece } from '../../../src/decode/canvas-frames.ts';
import { doubtOf } from '../../views/canvas.tsx';
import type { Span } from './around.ts';

export interface Hole extends Span {
  id: number;
  /** What a run has made of it so far; null before one. */
  pieces: readonly CanvasPiece[] | null;
  /** Why it is not filled. */
  problem: string | null;
}

export const punch = StateEffect.define<Span>({
  map: ({ from, to }, changes) => ({ from: changes.mapPos(from, 1), to: changes.mapPos(to, -1) }),
});
export const close = StateEffect.define<number>();
export const draw = StateEffect.define<Pick<Hole, 'id' | 'pieces' | 'problem'>>();

let lastId = 0;

/** With their decorations: what replaces line breaks must be there before anything is measured. */
export const holesField = StateField.define<{ list: readonly Hole[]; decorations: DecorationSet }>({
  create: () => ({ list: [], decorations: Decoration.none }),
  update(before, tr) {
    let { list } = before;
    if (tr.docChanged) list = list.flatMap((hole) => mapped(hole, tr.changes));
    for (const effect of tr.effects) {
      if (effect.is(punch)) list = withHole(list, effect.value);
      if (effect.is(close)) list = list.filter(({ id }) => id !== effect.value);
      if (effect.is(draw)) {
        list = list.map((hole) => (hole.id === effect.value.id ? { ...hole, ...effect.value } : hole));
      }
    }
    return list === before.list ? before : { list, decorations: decorate(tr.newDoc, list) };
  },
  provide: (field) => [
    EditorView.decorations.from(field, ({ decorations }) => decorations),
    EditorView.atomicRanges.of((view) => view.state.field(field).decorations),
  ],
});

export const holesOf = (state: EditorState): readonly Hole[] => state.field(holesField).list;

function mapped(hole: Hole, changes: ChangeDesc): Hole[] {
  if (hole.from === hole.to) {
    const at = changes.mapPos(hole.from, 1, MapMode.TrackDel);
    return at === null ? [] : [{ ...hole, from: at, to: at }];
  }
  const [from, to] = [changes.mapPos(hole.from, 1), changes.mapPos(hole.to, -1)];
  return from < to ? [{ ...hole, from, to }] : [];
}

/** Holes in order; one that touches others swallows them. */
function withHole(holes: readonly Hole[], { from, to }: Span): Hole[] {
  const isApart = (hole: Hole): boolean => hole.to < from || hole.from > to;
  const swallowed = holes.filter((hole) => !isApart(hole));
  const hole: Hole = {
    id: ++lastId,
    from: Math.min(from, ...swallowed.map((old) => old.from)),
    to: Math.max(to, ...swallowed.map((old) => old.to)),
    pieces: null,
    problem: null,
  };
  return [...holes.filter(isApart), hole].sort((a, b) => a.from - b.from);
}

function decorate(doc: Text, holes: readonly Hole[]): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const { from, to, pieces, problem } of holes) {
    const widget = new HoleWidget(pieces ?? masksOf(doc.sliceString(from, to)), pieces !== null, problem);
    builder.add(
      from,
      to,
      from === to ? Decoration.widget({ widget, side: 2 }) : Decoration.replace({ widget }),
    );
  }
  return builder.finish();
}

/** The old text as masks, in its own shape. */
function masksOf(old: string): CanvasPiece[] {
  const shape = old === '' ? 'xxx' : old;
  return shape
    .split(/(\s+)/)
    .filter((run) => run !== '')
    .map((run): CanvasPiece => {
      if (run.trim() === '') return { text: run, state: 'settled', confidence: null };
      return { text: MASK_GLYPH.repeat(run.length), state: 'masked', confidence: null };
    });
}

const isSame = (a: CanvasPiece, b: CanvasPiece): boolean =>
  a.text === b.text && a.state === b.state && a.confidence === b.confidence;

class HoleWidget extends WidgetType {
  readonly pieces: readonly CanvasPiece[];
  readonly isFilling: boolean;
  readonly problem: string | null;
  constructor(pieces: readonly CanvasPiece[], isFilling: boolean, problem: string | null) {
    super();
    this.pieces = pieces;
    this.isFilling = isFilling;
    this.problem = problem;
  }
  override eq(other: HoleWidget): boolean {
    return (
      other.isFilling === this.isFilling &&
      other.problem === this.problem &&
      other.pieces.length === this.pieces.length &&
      other.pieces.every((piece, i) => isSame(piece, this.pieces[i]))
    );
  }
  override get lineBreaks(): number {
    return this.pieces.reduce((sum, { text }) => sum + text.split('\n').length - 1, 0);
  }
  override toDOM(): HTMLElement {
    const hole = document.createElement('span');
    hole.className = 'cm-hole';
    hole.role = 'img';
    this.updateDOM(hole);
    return hole;
  }
  override updateDOM(hole: HTMLElement): boolean {
    hole.dataset.state = this.problem !== null ? 'failed' : this.isFilling ? 'filling' : 'open';
    const masks = this.pieces.filter(({ state }) => state === 'masked').length;
    hole.ariaLabel = this.isFilling ? `Hole, ${masks} masks left` : 'Hole';
    hole.title = this.problem ?? '';
    hole.replaceChildren(
      ...this.pieces.map(({ text, state, confidence }) => {
        const piece = document.createElement('span');
        piece.className = 'piece';
        piece.dataset.state = state;
        piece.dataset.doubt = String(doubtOf(confidence));
        piece.textContent = text === '' && state === 'masked' ? MASK_GLYPH : text;
        return piece;
      }),
    );
    return true;
  }
  override ignoreEvent(): boolean {
    return false;
  }
}

/** What was filled last, with its doubt, until somebody writes on. */
export interface Filled {
  at: number;
  pieces: readonly CanvasPiece[];
}
const showFilled = StateEffect.define<readonly Filled[]>();
export const filledField = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, tr) {
    for (const effect of tr.effects) {
      if (effect.is(showFilled)) return marksOf(effect.value, tr.newDoc.length);
    }
    return tr.docChanged ? Decoration.none : marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function marksOf(filled: readonly Filled[], end: number): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  for (const { at, pieces } of filled) {
    let from = at;
    for (const { text, confidence } of pieces) {
      const to = Math.min(from + text.length, end);
      const attributes = { 'data-doubt': String(doubtOf(confidence)) };
      if (to > from) builder.add(from, to, Decoration.mark({ class: 'cm-filled', attributes }));
      from = to;
    }
  }
  return builder.finish();
}

export interface Filling {
  hole: Hole;
  text: string;
  /** The text, token by token. */
  pieces: readonly CanvasPiece[];
}

/** New texts take the place of the old ones: one step of the history. */
export function fillingOf(state: EditorState, fillings: readonly Filling[]): TransactionSpec {
  const changes = state.changes(fillings.map(({ hole: { from, to }, text }) => ({ from, to, insert: text })));
  return {
    changes,
    effects: [
      ...fillings.map(({ hole }) => close.of(hole.id)),
      showFilled.of(
        fillings.map(({ hole, text, pieces }) => ({
          at: changes.mapPos(hole.from, -1),
          pieces: cut(pieces, text.length),
        })),
      ),
    ],
    annotations: isolateHistory.of('full'),
    userEvent: 'fill',
  };
}

/** So many characters of the pieces. */
function cut(pieces: readonly CanvasPiece[], length: number): CanvasPiece[] {
  let left = length;
  return pieces.flatMap((piece) => {
    const text = piece.text.slice(0, left);
    left -= text.length;
    return text === '' ? [] : [{ ...piece, text }];
  });
}

/** The holes that a selection touches. */
export function touched(state: EditorState): Hole[] {
  const { from, to } = state.selection.main;
  return holesOf(state).filter((hole) => hole.from <= to && hole.to >= from);
}

/** What there is to punch: the selection without the space around it, else the line's text; a blank line as it is. */
function target(state: EditorState): Span {
  const { main } = state.selection;
  const { from, to } = main.empty ? state.doc.lineAt(main.head) : main;
  const text = state.sliceDoc(from, to);
  if (text.trim() === '') return main.empty ? { from: main.head, to: main.head } : { from, to };
  const start = from + text.length - text.trimStart().length;
  return { from: start, to: start + text.trim().length };
}

/** Punches a hole into the selection; where there is one already, closes it. */
export const toggleHole: Command = (view) => {
  const open = touched(view.state);
  if (open.length > 0) {
    view.dispatch({ effects: open.map(({ id }) => close.of(id)) });
    return true;
  }
  const span = target(view.state);
  view.dispatch({ effects: punch.of(span), selection: { anchor: span.to } });
  return true;
};

/** Deleting into a hole gives the old text back, which somebody may then delete. */
const closeBeside =
  (end: 'from' | 'to'): Command =>
  (view) => {
    const { main } = view.state.selection;
    const hole = main.empty && holesOf(view.state).find((hole) => hole[end] === main.head);
    if (!hole) return false;
    view.dispatch({ effects: close.of(hole.id) });
    return true;
  };

export const holes = [
  holesField,
  filledField,
  Prec.high(
    keymap.of([
      { key: 'Mod-k', run: toggleHole },
      { key: 'Backspace', run: closeBeside('to') },
      { key: 'Delete', run: closeBeside('from') },
    ]),
  ),
];
