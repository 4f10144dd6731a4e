/** Markdown; plain text until its reader is there, which is fetched with the first answer. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import '../../views/code.css';

type Reader = (text: string) => DocumentFragment;
let ready: Reader | null = null;

export function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [reader, setReader] = useState<Reader | null>(() => ready);
  useLayoutEffect(() => {
    let isHere = true;
    import('./markdown.ts').then(
      ({ markdownNodes }) => {
        ready = markdownNodes;
        if (isHere) setReader(() => markdownNodes);
      },
      () => {},
    );
    return () => {
      isHere = false;
    };
  }, []);
  useLayoutEffect(() => {
    if (reader) place.current!.replaceChildren(reader(text));
    else place.current!.textContent = text;
  }, [reader, text]);
  return <div ref={place} class="markdown" />;
}
