/** Help texts as wide as the terminal. */

/**
 * Fills paragraphs anew. Indented lines are options, tables and examples to copy, and stay as they are.
 * @param width columns
 */
export function reflow(text: string, width: number): string {
  return text.replaceAll(/^\S.*(?:\n\S.*)*$/gm, (paragraph) => {
    const lines = [''];
    for (const word of paragraph.split(/\s+/)) {
      const line = lines.at(-1)!;
      if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
      else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    }
    return lines.join('\n');
  });
}
