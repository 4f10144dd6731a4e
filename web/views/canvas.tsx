/**
 * Text that develops. Every piece says by shape as well as by colour how final it is: masks are shaded cells, fresh
 * tokens stand on a ground with a solid line below, held ones have a dotted line, settled ones are plain. The fuller the
 * ground, the less sure the model was.
 */
import type { VNode } from 'preact';
import { useRef } from 'preact/hooks';
import type { CanvasPiece } from '../../src/decode/canvas-frames.ts';
import { MASK_GLYPH } from '../../src/decode/canvas-frames.ts';

export interface CanvasTextProps {
  pieces: readonly CanvasPiece[];
  label: string;
  /** What stands around the answer. */
  before?: string;
  after?: string;
  /** A piece that somebody points at, by its place among the pieces. */
  picked?: number | null;
  onPick?: (index: number) => void;
}

export function CanvasText({ pieces, label, before, after, picked = null, onPick }: CanvasTextProps) {
  const drawn = useRef<DrawnPiece[]>([]);
  drawn.current = pieces.map((piece, index) => {
    const known = drawn.current[index];
    const isPicked = index === picked;
    return known && known.isPicked === isPicked && isAlike(known.piece, piece)
      ? known
      : { piece, isPicked, node: <Piece key={index} piece={piece} index={index} isPicked={isPicked} /> };
  });
  const pick = (event: MouseEvent): void => {
    const { index } = (event.target as HTMLElement).closest<HTMLElement>('.piece')?.dataset ?? {};
    if (index !== undefined) onPick?.(Number(index));
  };
  return (
    <code
      class="canvas"
      role="img"
      aria-label={`${label}: ${spoken(pieces)}`}
      {...(onPick && { onClick: pick, 'data-picks': '' })}
    >
      {before && <span class="around">{before}</span>}
      {drawn.current.map(({ node }) => node)}
      {after && <span class="around">{after}</span>}
    </code>
  );
}

/** A piece that looks as it did keeps its node, which is then left alone: a step changes few of hundreds. */
interface DrawnPiece {
  piece: CanvasPiece;
  isPicked: boolean;
  node: VNode;
}

const isAlike = (a: CanvasPiece, b: CanvasPiece): boolean =>
  a.text === b.text && a.state === b.state && doubtOf(a.confidence) === doubtOf(b.confidence);

/** Doubt in five steps: 0 sure, 4 guessing. */
export const doubtOf = (confidence: number | null): number =>
  confidence === null ? 0 : Math.min(4, Math.floor((1 - confidence) * 5));

function Piece({
  piece: { text, state, confidence },
  index,
  isPicked,
}: {
  piece: CanvasPiece;
  index: number;
  isPicked: boolean;
}) {
  return (
    <span
      class="piece"
      data-state={state}
      data-doubt={doubtOf(confidence)}
      data-index={index}
      {...(isPicked && { 'data-picked': '' })}
    >
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
