/** The door: three bad visits a minute, and strangers never shut out the kiosk that was seen at the same address. */
import { expect, test } from 'vitest';
import { BadVisits, Door, houseOf, SlowLanes } from '../../../hub/mqtt/door.ts';

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

const MINUTE = 60_000;

/** A door whose first minutes are over, and everyone who was let in or sent away. */
function makeDoor(pass = 5 * MINUTE) {
  const clock = makeClock();
  const door = new Door(clock.now, clock.later);
  clock.pass(pass);
  const inside: string[] = [];
  const left: string[] = [];
  const arrive = (name: string, address = '10.0.0.7') =>
    door.arrive(address, { enter: () => inside.push(name), leave: () => left.push(name) });
  const strangers = (count: number, address?: string) => {
    for (let n = 0; n < count; n++) arrive('stranger', address)(false);
  };
  return { clock, door, arrive, strangers, inside, left };
}

test('where no kiosk ever was, three may try a minute and the others are sent away at once', () => {
  const { clock, strangers, inside, left } = makeDoor();
  for (let n = 0; n < 60; n++) {
    strangers(1);
    clock.pass(1000);
  }
  expect([inside.length, left.length]).toEqual([3, 57]);
  // The minute slides: each of the three makes room as it gets old.
  for (let n = 0; n < 600; n++) {
    strangers(10);
    clock.pass(1000);
  }
  expect(inside.length).toBe(3 + 30);
});

test('of many that come at once to a strange address no more than three may try', () => {
  const { arrive, inside, left } = makeDoor();
  for (let n = 0; n < 100; n++) arrive('stranger');
  expect([inside.length, left.length]).toEqual([3, 97]);
});

test('a kiosk that comes from a new address makes it a known one, and the failures before are forgotten', () => {
  const { arrive, strangers, inside, left } = makeDoor();
  strangers(2);
  arrive('kiosk')(true);
  for (let n = 0; n < 20; n++) arrive('kiosk')(true);
  expect(left).toEqual([]);
  expect(inside).toHaveLength(23);
});

test('an address is known for a day after a kiosk was last there, and then no more', () => {
  const { clock, door, arrive, strangers, inside, left } = makeDoor();
  arrive('kiosk')(true);
  clock.pass(23 * 60 * MINUTE);
  door.remember('10.0.0.7');
  clock.pass(23 * 60 * MINUTE);
  strangers(10);
  clock.pass(10_000);
  arrive('late kiosk')(true);
  expect(left).toEqual([]);
  expect(inside).toContain('late kiosk');
  clock.pass(24 * 60 * MINUTE);
  strangers(4);
  expect(left).toHaveLength(1);
});

test('in the first five minutes after the start every address is slowed and none is shut', () => {
  const { clock, arrive, strangers, inside, left } = makeDoor(0);
  strangers(10);
  clock.pass(5 * MINUTE - 10_000);
  strangers(10);
  const ended = arrive('kiosk');
  clock.pass(5_000);
  expect(inside).toContain('kiosk');
  ended(true);
  expect(left).toEqual([]);
  // What was seen in those minutes counts afterwards.
  clock.pass(5_000);
  strangers(10);
  strangers(10, '10.0.0.8');
  expect(left).toHaveLength(7);
});

test('ten thousand addresses are known at most; the one seen longest ago is forgotten first', () => {
  const { door, strangers, left } = makeDoor();
  const addressOf = (n: number) => `10.1.${n >> 8}.${n & 255}`;
  for (let n = 0; n < 10_000; n++) door.remember(addressOf(n));
  door.remember(addressOf(0));
  door.remember('10.0.0.8');
  strangers(4, addressOf(0));
  expect(left).toHaveLength(0);
  strangers(4, addressOf(1));
  expect(left).toHaveLength(1);
});

test.each([
  ['192.168.1.20', '192.168.1.20'],
  ['::ffff:192.168.1.20', '192.168.1.20'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::6', '2001:db8:1:2'],
  ['2001:DB8::6', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['', ''],
])('%s stands behind the door %s', (address, house) => {
  expect(houseOf(address)).toBe(house);
});
