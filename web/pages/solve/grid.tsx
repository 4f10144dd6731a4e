/** A sudoku board. Every sign has a shape and a name: colour says nothing that they do not. */
import { useRef } from 'preact/hooks';
import type { SudokuSize } from '../../../src/train/sudoku.ts';
import { SUDOKU_BOXES } from '../../../src/train/sudoku.ts';
import { MASK_GLYPH } from '../../../src/decode/canvas-frames.ts';
import { doubtOf } from '../../views/canvas.tsx';
import type { Board, BoardCell, Fault } from './board.ts';
import './grid.css';

interface Editing {
  selected: number;
  select: (cell: number) => void;
  /** A digit, 0 to empty the cell; null: this board can only be looked at. */
  enter: ((cell: number, digit: number) => void) | null;
  paste: ((text: string) => void) | null;
}

export function SudokuGrid({
  board,
  size,
  label,
  editing = null,
}: {
  board: Board;
  size: SudokuSize;
  label: string;
  editing?: Editing | null;
}) {
  const grid = useRef<HTMLDivElement>(null);
  const [boxRows, boxColumns] = SUDOKU_BOXES[size];
  const move = (cell: number): void => {
    editing!.select(cell);
    grid.current?.querySelector<HTMLElement>(`[data-cell="${cell}"]`)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!editing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { selected, enter } = editing;
    const [row, column] = [Math.floor(selected / size), selected % size];
    const to: Record<string, number> = {
      ArrowLeft: row * size + Math.max(0, column - 1),
      ArrowRight: row * size + Math.min(size - 1, column + 1),
      ArrowUp: Math.max(0, row - 1) * size + column,
      ArrowDown: Math.min(size - 1, row + 1) * size + column,
      Home: row * size,
      End: row * size + size - 1,
    };
    const digit = ['Delete', 'Backspace', '.', '0'].includes(event.key) ? 0 : Number.parseInt(event.key, 10);
    if (event.key in to) move(to[event.key]);
    else if (enter && digit >= 0 && digit <= size) enter(selected, digit);
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={grid}
      class="sudoku"
      role={editing ? 'grid' : 'img'}
      aria-label={editing ? label : `${label}: ${spoken(board)}`}
      aria-readonly={editing ? editing.enter === null : undefined}
      style={{ '--side': size }}
      onKeyDown={onKeyDown}
      onPaste={(event) => {
        if (!editing?.paste) return;
        event.preventDefault();
        editing.paste(event.clipboardData?.getData('text') ?? '');
      }}
    >
      {Array.from({ length: size }, (_, row) => (
        <div key={row} class="sudoku-row" role={editing ? 'row' : undefined}>
          {board.cells.slice(row * size, (row + 1) * size).map((cell, column) => {
            const index = row * size + column;
            return (
              <div
                key={column}
                class="sudoku-cell"
                data-cell={index}
                data-state={cell.state}
                data-fault={cell.fault ?? undefined}
                data-taken-back={cell.takenBack === null ? undefined : ''}
                data-doubt={
                  cell.state === 'fresh' || cell.state === 'held' ? doubtOf(cell.probability) : undefined
                }
                data-edge-right={(column + 1) % boxColumns === 0 && column + 1 < size ? '' : undefined}
                data-edge-below={(row + 1) % boxRows === 0 && row + 1 < size ? '' : undefined}
                {...(editing && {
                  role: 'gridcell',
                  'aria-selected': editing.selected === index,
                  tabIndex: editing.selected === index ? 0 : -1,
                  onClick: () => move(index),
                  onFocus: () => editing.select(index),
                })}
              >
                {editing && <span class="sr-only">{nameOf(cell, row, column)}</span>}
                <span aria-hidden="true">
                  <span class="sudoku-digit">{glyphOf(cell)}</span>
                  {cell.state !== 'given' && cell.probability !== null && (
                    <span class="sudoku-sure">{percent(cell.probability)}</span>
                  )}
                  {cell.fault && <span class="sudoku-sign">{SIGNS[cell.fault]}</span>}
                  {cell.takenBack !== null && <s class="sudoku-taken">{cell.takenBack}</s>}
                </span>
              </div>
            );
          })}
        </div>
      ))}
    </div>
  );
}

const glyphOf = ({ digit, state }: BoardCell): string =>
  state === 'unwritten' ? '' : digit === 0 ? MASK_GLYPH : String(digit);

/** In the corner of a cell. */
export const SIGNS: Record<Fault, string> = { clash: '✕', changed: '!', different: '≠' };
const FAULTS: Record<Fault, string> = {
  clash: 'clashes with another cell',
  changed: 'another digit was given here',
  different: 'not the digit of the solution',
};
const STATES: Record<BoardCell['state'], string> = {
  given: 'given',
  masked: 'masked',
  unwritten: 'not written yet',
  fresh: 'new',
  held: 'filled',
  settled: 'settled',
};

/** Never 100 unless it is certain. */
export const percent = (probability: number): string =>
  probability >= 0.995 && probability < 1 ? '>99' : String(Math.round(probability * 100));

function nameOf(
  { digit, state, probability, fault, takenBack }: BoardCell,
  row: number,
  column: number,
): string {
  const parts = [
    `row ${row + 1}, column ${column + 1}:`,
    digit === 0 ? STATES[state] : `${digit}, ${STATES[state]}`,
    ...(state !== 'given' && probability !== null ? [`${percent(probability)} % sure`] : []),
    ...(takenBack === null ? [] : [`${takenBack} was taken back`]),
    ...(fault ? [FAULTS[fault]] : []),
  ];
  return `${parts[0]} ${parts.slice(1).join(', ')}`;
}

function spoken({ cells }: Board): string {
  const open = cells.filter(({ digit }) => digit === 0).length;
  const faults = cells.filter(({ fault }) => fault !== null).length;
  return `${open} of ${cells.length} cells open, ${faults} wrong`;
}

/** What the signs mean. */
export function SudokuLegend() {
  const cell = (state: BoardCell['state'], text: string, rest: object = {}) => (
    <span class="sudoku-cell" data-state={state} {...rest}>
      <span class="sudoku-digit">{text}</span>
      {'data-fault' in rest && <span class="sudoku-sign">{SIGNS[rest['data-fault'] as Fault]}</span>}
      {'data-taken-back' in rest && <s class="sudoku-taken">3</s>}
    </span>
  );
  return (
    <ul class="legend sudoku-legend" aria-label="Legend">
      <li>{cell('given', '5')} given</li>
      <li>{cell('masked', MASK_GLYPH)} masked</li>
      <li>{cell('fresh', '5', { 'data-doubt': 0 })} new</li>
      <li>{cell('fresh', '5', { 'data-doubt': 3 })} new, a guess</li>
      <li>{cell('held', '5')} filled before</li>
      <li>{cell('masked', MASK_GLYPH, { 'data-taken-back': '' })} 3 was taken back</li>
      <li>{cell('held', '5', { 'data-fault': 'clash' })} clashes</li>
      <li>{cell('held', '5', { 'data-fault': 'different' })} not the solution</li>
    </ul>
  );
}
