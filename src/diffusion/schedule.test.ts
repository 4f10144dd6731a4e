import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TintypeError } from '../errors.ts';
import { cosine, createSchedule, linear, logLinear, polynomial, type NoiseSchedule } from './schedule.ts';

const schedules: NoiseSchedule[] = [
  linear,
  cosine,
  polynomial(0.5),
  polynomial(2),
  polynomial(3.5),
  logLinear(),
  logLinear(1e-3),
];
const time = fc.double({ min: 1e-3, max: 1 - 1e-3, noNaN: true });

describe.each(schedules.map((schedule) => [schedule.name, schedule] as const))('%s', (_, schedule) => {
  test('starts clean and ends masked', () => {
    expect(schedule.alpha(0)).toBeCloseTo(1, 12);
    expect(schedule.alpha(1)).toBeCloseTo(schedule.name === 'logLinear:0.001' ? 1e-3 : 0, 12);
  });

  test('alphaPrime is the derivative of alpha', () => {
    fc.assert(
      fc.property(time, (t) => {
        const h = 1e-6;
        const slope = (schedule.alpha(t + h) - schedule.alpha(t - h)) / (2 * h);
        expect(schedule.alphaPrime(t)).toBeCloseTo(slope, 5);
        expect(schedule.alphaPrime(t)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('lossWeight is −alpha′ / (1 − alpha)', () => {
    fc.assert(
      fc.property(time, (t) => {
        expect(schedule.lossWeight(t) * (1 - schedule.alpha(t))).toBeCloseTo(-schedule.alphaPrime(t), 9);
      }),
    );
  });

  test('the weight is finite everywhere, and weight × mask probability stays bounded', () => {
    for (const t of [0, 1e-300, 1e-12, 1e-9, 1e-6, 0.5, 1]) {
      expect(Number.isFinite(schedule.lossWeight(t))).toBe(true);
      expect(schedule.lossWeight(t)).toBeGreaterThanOrEqual(0);
    }
    // ∫ weight · (1 − alpha) dt = alpha(0) − alpha(1), by the midpoint rule (t = s² tames polynomial:0.5 at 0).
    const steps = 4000;
    let sum = 0;
    for (let i = 0; i < steps; i++) {
      const s = (i + 0.5) / steps;
      sum += (schedule.lossWeight(s * s) * (1 - schedule.alpha(s * s)) * 2 * s) / steps;
    }
    expect(sum).toBeCloseTo(schedule.alpha(0) - schedule.alpha(1), 5);
  });
});

test('log-linear noise is linear in alpha', () => {
  fc.assert(
    fc.property(time, fc.double({ min: 0, max: 0.5, noNaN: true }), (t, epsilon) => {
      const sigma = -Math.log(1 - (1 - epsilon) * t);
      expect(logLinear(epsilon).alpha(t)).toBeCloseTo(Math.exp(-sigma), 12);
      expect(logLinear().alpha(t)).toBe(linear.alpha(t));
    }),
  );
});

test('a config names its schedule', () => {
  expect(createSchedule({ name: 'linear' })).toBe(linear);
  expect(createSchedule({ name: 'cosine' })).toBe(cosine);
  expect(createSchedule({ name: 'polynomial', power: 2 }).alpha(0.5)).toBe(0.75);
  expect(createSchedule({ name: 'logLinear', epsilon: 0.001 }).alpha(1)).toBeCloseTo(0.001);
});

test.each([() => polynomial(0), () => polynomial(Number.NaN), () => logLinear(1), () => logLinear(-0.1)])(
  'a schedule that would not end in masks is refused (%#)',
  (make) => expect(make).toThrow(TintypeError),
);
