/** Code to read: plain at once, coloured as soon as the parser is there. */
import { useEffect, useState } from 'preact/hooks';
import type { CodePiece } from './highlight.ts';
import './code.css';

type Highlight = (text: string, language: string) => CodePiece[];
let ready: Highlight | null = null;

/** Fetches the parser once. */
export const loadHighlight = async (): Promise<Highlight> =>
  (ready ??= (await import('./highlight.ts')).highlight);

export function Code({ text, language = 'ts' }: { text: string; language?: string }) {
  const [highlight, setHighlight] = useState<Highlight | null>(() => ready);
  useEffect(() => {
    let isHere = true;
    // Without the parser the code stays plain.
    loadHighlight().then(
      (loaded) => isHere && setHighlight(() => loaded),
      () => {},
    );
    return () => {
      isHere = false;
    };
  }, []);
  return (
    <code class="code">
      {highlight
        ? highlight(text, language).map(({ text, classes }, index) =>
            classes === '' ? (
              text
            ) : (
              <span key={index} class={classes}>
                {text}
              </span>
            ),
          )
        : text}
    </code>
  );
}
