/**
 * Text that develops. Every piece says by shape as well as by colour how final it is: masks are shaded cells, fresh
 * tokens stand on a ground with a solid line below, held ones have a dotted line, settled ones are plain. The fuller the
 * ground, the less sure the model was.
 */
import type { CanvasPiece } from '../../src/decode/canvas-frames.ts';
import { MASK_GLYPH } from '../../src/decode/canvas-frames.ts';

export function CanvasText({ pieces, label }: { pieces: readonly CanvasPiece[]; label: string }) {
  return (
    <code class="canvas" role="img" aria-label={`${label}: ${spoken(pieces)}`}>
      {pieces.map((piece, index) => (
        <Piece key={index} piece={piece} />
      ))}
    </code>
  );
}

/** Doubt in five steps: 0 sure, 4 guessing. */
export const doubtOf = (confidence: number | null): number =>
  confidence === null ? 0 : Math.min(4, Math.floor((1 - confidence) * 5));

function Piece({ piece: { text, state, confidence } }: { piece: CanvasPiece }) {
  return (
    <span class="piece" data-state={state} data-doubt={doubtOf(confidence)}>
      {state === 'masked' ? MASK_GLYPH : text}
    </span>
  );
}

/** What a screen reader says. */
function spoken(pieces: readonly CanvasPiece[]): string {
  const masks = pieces.filter(({ state }) => state === 'masked').length;
  const text = pieces
    .map(({ text, state }) => (state === 'masked' ? '' : text))
    .join('')
    .trim();
  return masks === 0 ? text : `${text} (${masks} of ${pieces.length} still masked)`;
}

/** What the shapes and grounds mean. */
export function CanvasLegend() {
  return (
    <ul class="legend" aria-label="Legend">
      <li>
        <span class="piece" data-state="masked">
          {MASK_GLYPH}
        </span>
        masked
      </li>
      <li>
        <span class="piece" data-state="fresh" data-doubt="0">
          new
        </span>
        <span class="piece" data-state="fresh" data-doubt="2">
          less
        </span>
        <span class="piece" data-state="fresh" data-doubt="4">
          sure
        </span>
      </li>
      <li>
        <span class="piece" data-state="held" data-doubt="0">
          held
        </span>
      </li>
      <li>
        <span class="piece" data-state="settled">
          settled
        </span>
      </li>
    </ul>
  );
}
