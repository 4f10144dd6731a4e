/** The editor: TypeScript, ghost text and holes. */
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from '@codemirror/commands';
import { typescriptLanguage } from '@codemirror/lang-javascript';
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import type { Extension } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import type { Command } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { askForGhost, completer } from './completer.ts';
import { ghost } from './ghost.ts';
import { holes, holesOf, punch } from './holes.ts';
import type { Span } from './around.ts';

/** Colours by role, so that they follow the page's. */
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--accent)' },
  { tag: [tags.string, tags.regexp, tags.special(tags.string)], color: 'var(--good)' },
  { tag: tags.comment, color: 'var(--text-soft)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.className, tags.number, tags.bool, tags.null], color: 'var(--series-4)' },
  { tag: [tags.punctuation, tags.operator], color: 'var(--text-soft)' },
]);

/** Two spaces; a selection moves in. */
const indent: Command = (view) => {
  const { state } = view;
  if (state.selection.ranges.some(({ empty }) => !empty)) return indentMore(view);
  view.dispatch(state.update(state.replaceSelection('  '), { scrollIntoView: true, userEvent: 'input' }));
  return true;
};

const common: Extension = [
  lineNumbers(),
  history(),
  indentOnInput(),
  indentUnit.of('  '),
  bracketMatching(),
  typescriptLanguage,
  syntaxHighlighting(colours),
  ghost,
  holes,
  completer,
  // Room for what the page says over the editor's foot.
  EditorView.scrollMargins.of(() => ({ bottom: 48 })),
  EditorView.contentAttributes.of({
    'aria-label': 'Code',
    tabindex: '0',
    autocapitalize: 'off',
    autocorrect: 'off',
  }),
  keymap.of([
    { key: 'Ctrl-Space', run: askForGhost },
    ...historyKeymap,
    // Esc, then Tab, leaves the editor.
    { key: 'Tab', run: indent, shift: indentLess },
    ...defaultKeymap,
  ]),
];

export interface Content {
  text: string;
  holes: readonly Span[];
  cursor?: number;
}

/** A text with a history of its own. `own` goes before everything else. */
export function stateOf({ text, holes, cursor = 0 }: Content, own: Extension): EditorState {
  const doc = EditorState.create({ doc: text }).doc;
  const inside = (at: number): number => Math.min(Math.max(at, 0), doc.length);
  const state = EditorState.create({
    doc,
    selection: { anchor: inside(cursor) },
    extensions: [own, common],
  });
  return state.update({
    effects: holes.map(({ from, to }) => punch.of({ from: inside(from), to: inside(to) })),
  }).state;
}

export const contentOf = (state: EditorState): Required<Content> => ({
  text: state.doc.toString(),
  holes: holesOf(state).map(({ from, to }) => ({ from, to })),
  cursor: state.selection.main.head,
});
