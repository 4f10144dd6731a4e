/**
 * The canvas as a heat map, position by forward. What is seen is painted; what is heard is a grid whose one cell is the
 * one that is pointed at.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Vocabulary } from '../../runs/recording.ts';
import { theme } from '../../state.ts';
import { GUTTER, heatColours, paintHeat } from './heat-paint.ts';
import type { HeatColours } from './heat-paint.ts';
import type { History } from './history.ts';
import { cellWords, tokenWord } from './words.ts';

const ZOOMS = [2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 56];

export interface HeatProps {
  history: History;
  vocabulary: Vocabulary;
  at: number;
  index: number;
  /** Whether the newest forward is to be kept in sight. */
  isLive: boolean;
  onMove: (at: number, index: number) => void;
}

export function Heat({ history, vocabulary, at, index, isLive, onMove }: HeatProps) {
  const grid = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const probe = useRef<HTMLSpanElement>(null);
  const colours = useRef<HeatColours | null>(null);
  const [zoom, setZoom] = useState<number | null>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [rows, columns] = [history.moments.length, history.length];

  const fitting = Math.floor((size.width - GUTTER.left) / Math.max(1, columns));
  const cellWidth = zoom ?? Math.max(2, Math.min(46, fitting));
  const cellHeight = Math.max(3, Math.min(22, Math.round(cellWidth * 0.8)));

  const paint = useCallback((): void => {
    const [box, surface] = [grid.current!, canvas.current!];
    const { width, height } = size;
    const context = surface.getContext('2d', { alpha: false });
    if (!context || width === 0) return;
    const ratio = devicePixelRatio || 1;
    if (surface.width !== Math.round(width * ratio) || surface.height !== Math.round(height * ratio)) {
      surface.width = Math.round(width * ratio);
      surface.height = Math.round(height * ratio);
    }
    colours.current ??= heatColours(probe.current!);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { scrollLeft, scrollTop } = box;
    const geometry = { cellWidth, cellHeight, gutterLeft: GUTTER.left, gutterTop: GUTTER.top };
    paintHeat(
      context,
      history,
      at,
      { ...geometry, width, height, scrollLeft, scrollTop },
      colours.current,
      (r, c) => tokenWord(vocabulary, history.moments[r].ids[c]),
    );
  }, [history, vocabulary, at, cellWidth, cellHeight, size]);

  const repaint = useRef(paint);
  repaint.current = paint;
  useLayoutEffect(paint);

  useEffect(() => {
    const box = grid.current!;
    const measure = (): void => setSize({ width: box.clientWidth, height: box.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    measure();
    const recolour = (): void => {
      colours.current = null;
      repaint.current();
    };
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', recolour);
    const unsubscribe = theme.subscribe(() => queueMicrotask(recolour));
    return () => {
      observer.disconnect();
      dark.removeEventListener('change', recolour);
      unsubscribe();
    };
  }, []);

  /** Keeps the cell in sight; while a run goes on, its last row. */
  useLayoutEffect(() => {
    const box = grid.current!;
    const [x, y] = [index * cellWidth, at * cellHeight];
    const [seenWidth, seenHeight] = [box.clientWidth - GUTTER.left, box.clientHeight - GUTTER.top];
    if (y < box.scrollTop) box.scrollTop = y;
    else if (y + cellHeight > box.scrollTop + seenHeight) box.scrollTop = y + cellHeight - seenHeight + 1;
    if (isLive) return;
    if (x < box.scrollLeft) box.scrollLeft = x;
    else if (x + cellWidth > box.scrollLeft + seenWidth) box.scrollLeft = x + cellWidth - seenWidth + 1;
  }, [at, index, cellWidth, cellHeight, isLive]);

  const move = (nextAt: number, nextIndex: number): void =>
    onMove(Math.max(0, Math.min(rows - 1, nextAt)), Math.max(0, Math.min(columns - 1, nextIndex)));

  const onKeyDown = (event: KeyboardEvent): void => {
    const far = event.ctrlKey || event.metaKey;
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [at, index - 1],
      ArrowRight: [at, index + 1],
      ArrowUp: [at - 1, index],
      ArrowDown: [at + 1, index],
      PageUp: [at - 10, index],
      PageDown: [at + 10, index],
      Home: [far ? 0 : at, 0],
      End: [far ? rows - 1 : at, columns - 1],
    };
    const next = steps[event.key];
    if (!next) return;
    event.preventDefault();
    move(...next);
  };

  const onPointer = (event: MouseEvent): void => {
    const box = grid.current!;
    const bounds = box.getBoundingClientRect();
    const x = event.clientX - bounds.left - box.clientLeft - GUTTER.left;
    const y = event.clientY - bounds.top - box.clientTop - GUTTER.top;
    if (x < 0 || y < 0) return;
    const column = Math.floor((x + box.scrollLeft) / cellWidth);
    const row = Math.floor((y + box.scrollTop) / cellHeight);
    if (row < rows && column < columns) move(row, column);
  };

  const nearest = ZOOMS.findIndex((each) => each >= cellWidth);
  const zoomTo = (place: number): void => setZoom(ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, place))]);

  return (
    <section class="stack heat-part" aria-labelledby="heat-title">
      <div class="row spread">
        <h2 id="heat-title">Heat map</h2>
        <div class="row" role="group" aria-label="Size of cells">
          <button type="button" aria-label="Smaller cells" onClick={() => zoomTo(nearest - 1)}>
            −
          </button>
          <button type="button" onClick={() => setZoom(null)} aria-pressed={zoom === null}>
            Fit
          </button>
          <button type="button" aria-label="Larger cells" onClick={() => zoomTo(nearest + 1)}>
            +
          </button>
        </div>
      </div>
      <div
        ref={grid}
        class="heat"
        role="grid"
        tabIndex={0}
        aria-label="Heat map: positions across, forwards down"
        aria-rowcount={rows}
        aria-colcount={columns}
        aria-activedescendant={rows > 0 ? 'heat-cell' : undefined}
        onKeyDown={onKeyDown}
        onPointerDown={onPointer}
        onScroll={() => repaint.current()}
      >
        <div
          class="heat-space"
          style={{
            width: `${GUTTER.left + columns * cellWidth}px`,
            height: `${GUTTER.top + rows * cellHeight}px`,
          }}
        >
          <canvas
            ref={canvas}
            aria-hidden="true"
            style={{ width: `${size.width}px`, height: `${size.height}px` }}
          />
          {rows > 0 && (
            <div role="row" aria-rowindex={at + 1}>
              <div
                id="heat-cell"
                class="heat-cell"
                role="gridcell"
                aria-colindex={index + 1}
                aria-selected="true"
                style={{
                  left: `${GUTTER.left + index * cellWidth}px`,
                  top: `${GUTTER.top + at * cellHeight}px`,
                  width: `${cellWidth}px`,
                  height: `${cellHeight}px`,
                }}
              >
                <span class="sr-only">{cellWords(history, vocabulary, at, index)}</span>
              </div>
            </div>
          )}
        </div>
        <span ref={probe} hidden />
      </div>
      <HeatLegend />
    </section>
  );
}

function HeatLegend() {
  return (
    <ul class="legend heat-legend" aria-label="Legend of the heat map">
      <li>
        <span class="ramp" aria-hidden="true">
          {[0, 1, 2, 3, 4].map((doubt) => (
            <span key={doubt} class="swatch" data-doubt={doubt} />
          ))}
        </span>
        sure to guessing
      </li>
      <li>
        <span class="swatch" data-mark="fresh" aria-hidden="true" /> committed now
      </li>
      <li>
        <span class="swatch" data-mark="masked" aria-hidden="true" /> masked, looked at
      </li>
      <li>
        <span class="swatch" data-mark="unseen" aria-hidden="true" /> not looked at
      </li>
      <li>
        <span class="swatch" data-mark="remasked" aria-hidden="true">
          ×
        </span>{' '}
        masked again
      </li>
    </ul>
  );
}
