/** SVG to PNG, with the fonts of the machine. */
import { Resvg } from '@resvg/resvg-js';

/** Pixels for each unit of the SVG: sharp on dense screens. */
const SCALE = 2;

const WORD = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">x</text></svg>';

/** The picture, and a warning where its words are missing because the machine has no fonts. */
export function renderPng(svg: string): { png: Uint8Array; warning: string | null } {
  const hasFonts = new Resvg(WORD).getBBox() !== undefined;
  return {
    png: new Resvg(svg, { fitTo: { mode: 'zoom', value: SCALE } }).render().asPng(),
    warning: hasFonts
      ? null
      : 'this machine has no fonts, so the PNG has no words: write an .svg, or install one (apt install fonts-dejavu-core)',
  };
}
