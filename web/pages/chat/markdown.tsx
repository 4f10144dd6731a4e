/** Markdown; plain text until its reader is there, which is fetched with the first answer. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import '../../views/code.css';

type Reader = (text: string) => DocumentFragment;
let ready: Reader | null = null;
const load = async (): Promise<Reader> => (ready ??= (await import('./markdown.ts')).markdownNodes);

export function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [reader, setReader] = useState<Reader | null>(() => ready);
  useLayoutEffect(() => {
    let isHere = true;
    load().then(
      (loaded) => isHere && setReader(() => loaded),
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
