/** The door: three bad visits a minute, and strangers never shut out the good kiosk behind the same address. */
import { expect, test } from 'vitest';
import { BadVisits, SlowLanes } from '../../../hub/mqtt/door.ts';

/** A clock that moves when told, and runs what falls due. */
function makeClock() {
  let now = 1_000_000;
  let due: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    later: (run: () => void, ms: number) => {
      const entry = { at: now + ms, run };
      due.push(entry);
      return () => {
        due = due.filter((other) => other !== entry);
      };
    },
    pass(ms: number) {
      const end = now + ms;
      for (;;) {
        const next = due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        due = due.filter((other) => other !== next);
        now = next.at;
        next.run();
      }
      now = end;
    },
  };
}

test('the third bad visit within a minute shuts the door until the first is a minute old', () => {
  const clock = makeClock();
  const visits = new BadVisits(clock.now);
  for (const shut of [false, false, true]) {
    visits.note('aa');
    expect(visits.shut('aa')).toBe(shut);
    clock.pass(10_000);
  }
  expect(visits.shut('bb')).toBe(false);
  clock.pass(29_000);
  expect(visits.shut('aa')).toBe(true);
  clock.pass(2_000);
  expect(visits.shut('aa')).toBe(false);
});

test('visits of very many names are remembered within bounds', () => {
  const clock = makeClock();
  const visits = new BadVisits(clock.now);
  for (let n = 0; n < 3; n++) visits.note('old');
  for (let n = 0; n < 10_001; n++) visits.note(`name ${n}`);
  expect(visits.shut('old')).toBe(false);
});

function makeLanes() {
  const clock = makeClock();
  const lanes = new SlowLanes(new BadVisits(clock.now), clock.later);
  const inside: string[] = [];
  const left: string[] = [];
  const arrive = (name: string, address = 'market') =>
    lanes.arrive(address, { enter: () => inside.push(name), leave: () => left.push(name) });
  for (let n = 0; n < 3; n++) arrive('stranger')(false);
  inside.length = 0;
  return { clock, arrive, inside, left };
}

test('an address without three failures is not slowed', () => {
  const { arrive, inside } = makeLanes();
  for (let n = 0; n < 100; n++) arrive(`kiosk ${n}`, 'elsewhere');
  expect(inside).toHaveLength(100);
});

test('after three failures strangers of an address get four handshakes a second', () => {
  const { clock, arrive, inside } = makeLanes();
  for (let n = 0; n < 200; n++) {
    arrive('stranger');
    clock.pass(50);
  }
  expect(inside.length).toBeGreaterThanOrEqual(38);
  expect(inside.length).toBeLessThanOrEqual(42);
});

test('good kiosks behind the same address come in one after another without a rest', () => {
  const { clock, arrive, inside } = makeLanes();
  const outcomes = ['one', 'two', 'three'].map((name) => arrive(name));
  expect(inside).toEqual(['one']);
  for (const outcome of outcomes) outcome(true);
  expect(inside).toEqual(['one', 'two', 'three']);
  clock.pass(1000);
  arrive('four');
  expect(inside).toContain('four');
});

test('a good kiosk that arrives amid a flood waits at most eight seconds, and the queue stays short', () => {
  const { clock, arrive, inside, left } = makeLanes();
  for (let n = 0; n < 31; n++) arrive('stranger');
  arrive('kiosk');
  clock.pass(8_000);
  expect(inside).toContain('kiosk');
  for (let n = 0; n < 1000; n++) arrive('stranger');
  expect(left.length).toBeGreaterThan(900);
});

test('one who leaves the queue by himself is not let in later', () => {
  const { clock, arrive, inside } = makeLanes();
  arrive('first');
  const impatient = arrive('impatient');
  impatient(false);
  clock.pass(5000);
  expect(inside).toEqual(['first']);
});
