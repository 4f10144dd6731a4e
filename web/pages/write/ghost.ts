/**
 * Ghost text: what the model would write at the cursor, shown and not there. It lies over the text behind the cursor,
 * which it shows again after itself, so nothing on the screen moves. What fits it may be typed; anything else ends it.
 */
import { isolateHistory } from '@codemirror/commands';
import { Prec, StateEffect, StateField } from '@codemirror/state';
import type { ChangeSet, EditorState, Transaction } from '@codemirror/state';
import { Decoration, EditorView, keymap, WidgetType } from '@codemirror/view';
import type { Command } from '@codemirror/view';

export interface Ghost {
  /** Of the cursor. */
  at: number;
  text: string;
}

export const showGhost = StateEffect.define<Ghost | null>();

const TAKEN = 'input.complete';

export const ghostField = StateField.define<Ghost | null>({
  create: () => null,
  update(ghost, tr) {
    for (const effect of tr.effects) if (effect.is(showGhost)) ghost = effect.value;
    if (ghost && tr.docChanged) ghost = afterTyping(ghost, tr);
    const { main, ranges } = tr.newSelection;
    return ghost && ranges.length === 1 && main.empty && main.head === ghost.at ? ghost : null;
  },
  provide: (field) =>
    EditorView.decorations.from(field, (ghost) => (view) => {
      if (!ghost) return Decoration.none;
      const rest = restOfLine(view.state, ghost.at);
      return Decoration.set(
        Decoration.widget({ widget: new GhostWidget(ghost.text, rest), side: 1 }).range(ghost.at),
      );
    }),
});

/** The rest of the ghost, if what was typed is how it begins. */
function afterTyping(ghost: Ghost, { changes }: { changes: ChangeSet }): Ghost | null {
  let typed: string | null = null;
  changes.iterChanges((fromA, toA, _, __, inserted) => {
    typed = typed === null && fromA === ghost.at && toA === ghost.at ? inserted.toString() : '';
  });
  const text: string = typed ?? '';
  if (text === '' || !ghost.text.startsWith(text) || text === ghost.text) return null;
  return { at: ghost.at + text.length, text: ghost.text.slice(text.length) };
}

const restOfLine = (state: EditorState, at: number): string => state.sliceDoc(at, state.doc.lineAt(at).to);

class GhostWidget extends WidgetType {
  readonly text: string;
  readonly rest: string;
  constructor(text: string, rest: string) {
    super();
    this.text = text;
    this.rest = rest;
  }
  override eq(other: GhostWidget): boolean {
    return other.text === this.text && other.rest === this.rest;
  }
  override toDOM(): HTMLElement {
    const [first, ...more] = this.text.split('\n');
    const ghost = element('span', 'cm-ghost');
    ghost.ariaHidden = 'true';
    const line = ghost.appendChild(element('span', 'cm-ghost-line', '\u200b'));
    const over = line.appendChild(element('span', 'cm-ghost-over'));
    over.append(element('span', 'cm-ghost-text', first));
    let last = over;
    if (more.length > 0) {
      last = ghost.appendChild(element('span', 'cm-ghost-more'));
      last.append(element('span', 'cm-ghost-text', more.join('\n')));
    }
    if (this.rest !== '') last.append(this.rest);
    return ghost;
  }
}

function element(name: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A command that puts a part of the ghost into the text; the rest of it stays. */
const take =
  (part: (text: string) => string): Command =>
  (view) => {
    const ghost = view.state.field(ghostField, false);
    if (!ghost) return false;
    const insert = part(ghost.text);
    view.dispatch({
      changes: { from: ghost.at, insert },
      selection: { anchor: ghost.at + insert.length },
      userEvent: TAKEN,
      // Undone by itself, not with what was typed before.
      annotations: isolateHistory.of('full'),
      scrollIntoView: true,
    });
    return true;
  };

export const takeAll = take((text) => text);
export const takeWord = take((text) => /^\s*(?:[\w$]+|[^\w$\s]+)/.exec(text)?.[0] ?? text);
export const takeLine = take((text) => /^\n?[^\n]*/.exec(text)![0] || text);
export const refuse: Command = (view) => {
  if (!view.state.field(ghostField, false)) return false;
  view.dispatch({ effects: showGhost.of(null) });
  return true;
};

export const ghost = [
  ghostField,
  Prec.highest(
    keymap.of([
      { key: 'Tab', run: takeAll },
      { key: 'Mod-ArrowRight', run: takeWord },
      { key: 'Mod-ArrowDown', run: takeLine },
      { key: 'Escape', run: refuse },
    ]),
  ),
];

/** Whether somebody wrote, by hand or from a ghost: undoing, filling and opening files ask for no completion. */
export const isTyped = (tr: Transaction): boolean =>
  tr.docChanged && (tr.isUserEvent('input') || tr.isUserEvent('delete'));
