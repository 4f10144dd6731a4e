/** A chart by Observable Plot, fetched with the first one, and what it shows in words. */
import type * as Plot from '@observablehq/plot';
import { useEffect, useRef, useState } from 'preact/hooks';
import './chart.css';

export type PlotModule = typeof Plot;
let ready: PlotModule | null = null;
const load = async (): Promise<PlotModule> => (ready ??= await import('@observablehq/plot'));

interface ChartProps {
  /** What one would say to somebody who cannot see it. */
  label: string;
  /** Pixels; kept free before anything is drawn. */
  height: number;
  /** Anew whenever it is another function. */
  options: (plot: PlotModule, width: number) => Plot.PlotOptions;
}

export function Chart({ label, height, options }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [plot, setPlot] = useState<PlotModule | null>(() => ready);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    let isHere = true;
    load().then(
      (loaded) => isHere && setPlot(() => loaded),
      // The words are there all the same.
      () => {},
    );
    const watcher = new ResizeObserver(([{ contentRect }]) => setWidth(Math.floor(contentRect.width)));
    watcher.observe(place.current!);
    return () => {
      isHere = false;
      watcher.disconnect();
    };
  }, []);
  useEffect(() => {
    if (plot === null || width === 0) return;
    const svg = plot.plot({ width, height, ...options(plot, width) });
    svg.setAttribute('aria-hidden', 'true');
    place.current!.replaceChildren(svg);
  }, [plot, width, height, options]);
  return <div ref={place} class="chart" role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
