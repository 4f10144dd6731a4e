/** Code as coloured pieces. Fetched when the first code is shown: the parser is the editor's. */
import {
  jsxLanguage,
  javascriptLanguage,
  tsxLanguage,
  typescriptLanguage,
} from '@codemirror/lang-javascript';
import { classHighlighter, highlightCode } from '@lezer/highlight';

const LANGUAGES: Readonly<Record<string, { parser: typeof typescriptLanguage.parser }>> = {
  ts: typescriptLanguage,
  typescript: typescriptLanguage,
  tsx: tsxLanguage,
  js: javascriptLanguage,
  javascript: javascriptLanguage,
  jsx: jsxLanguage,
  // A subset of the same grammar, as an expression.
  json: typescriptLanguage,
};

export interface CodePiece {
  text: string;
  /** Classes `tok-…` of @lezer/highlight; empty for plain text. */
  classes: string;
}

/** The pieces joined are the text. Languages without a parser are one plain piece. */
export function highlight(text: string, language: string): CodePiece[] {
  const known = Object.hasOwn(LANGUAGES, language) ? LANGUAGES[language] : null;
  if (known === null) return [{ text, classes: '' }];
  const pieces: CodePiece[] = [];
  // A bare object would be read as a block.
  const before = language === 'json' ? '(' : '';
  const source = before + text;
  highlightCode(
    source,
    known.parser.parse(source),
    classHighlighter,
    (text, classes) => pieces.push({ text, classes }),
    () => pieces.push({ text: '\n', classes: '' }),
  );
  if (before !== '') pieces[0] = { ...pieces[0], text: pieces[0].text.slice(before.length) };
  return pieces;
}
