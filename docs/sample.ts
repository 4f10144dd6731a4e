export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function createPoint(x: number, y: number): Point {
  return { x, y };
}

export function createRectangle(x: number, y: number, width: number, height: number): Rectangle {
  return {};
}

export function translate(point: Point, x: number, y: number): Point {
  return createPoint(point.x + x, point.y + y);
}
