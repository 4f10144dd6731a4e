/** Small helpers for text. */

export function capitalize(word: string): string {
  return /*[*/ word.charAt(0).toUpperCase() + word.slice(1); /*]*/
}

export function isBlank(text: string): boolean {
  return text.trim() === '';
}

/** Lines that are not blank, without the space around them. */
export function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => /*[*/ line.trim() /*]*/)
    .filter((line) => !isBlank(line));
}

/** At most so many characters, with an ellipsis where some are missing. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) {
    /*[*/ return text; /*]*/
  }
  return `${text.slice(0, most - 1)}…`;
}
