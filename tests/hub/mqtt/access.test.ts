/** The access table: who may connect, say and hear what. */
import { describe, expect, test } from 'vitest';
import { judgeConnect, judgePublish, mayHear, maySubscribe } from '../../../hub/mqtt/access.ts';
import type { KioskName } from '../../../protocol/ids.ts';

const LAPAK = 'lapak-12' as KioskName;
const own = { name: 'lapak-12', serial: 'aa' };
const known = { serial: 'aa', revoked: false };
const connect = { clientId: 'lapak-12', clean: true, protocolVersion: 4, will: null };
const will = (topic: string, qos = 1) => ({ topic, qos });

describe('connect', () => {
  test.each([
    ['its own name and current certificate', connect, own, known, 'welcome'],
    ['a will at its own state', { ...connect, will: will('simpul/v1/lapak-12/state') }, own, known, 'welcome'],
    ["another's name", { ...connect, clientId: 'lapak-13' }, own, known, 'name-differs'],
    ['no name', { ...connect, clientId: '' }, own, known, 'name-differs'],
    ['a name the registry does not know', connect, own, undefined, 'kiosk-unknown'],
    ['an enrolment that has ended', connect, own, { serial: 'aa', revoked: true }, 'revoked'],
    ['an earlier certificate of its name', connect, own, { serial: 'bb', revoked: false }, 'serial-old'],
    ['a session to be kept', { ...connect, clean: false }, own, known, 'session-kept'],
    ['an older protocol', { ...connect, protocolVersion: 3 }, own, known, 'protocol-old'],
    ["a will at another's state", { ...connect, will: will('simpul/v1/lapak-13/state') }, own, known, 'will-foreign'],
    [
      'a will in a conversation',
      { ...connect, will: will('simpul/v1/lapak-12/up/purchase') },
      own,
      known,
      'will-foreign',
    ],
    ['a will at $SYS', { ...connect, will: will('$SYS/x') }, own, known, 'will-foreign'],
    ['a will of quality 2', { ...connect, will: will('simpul/v1/lapak-12/state', 2) }, own, known, 'will-foreign'],
  ] as const)('a kiosk that comes with %s', (_what, facts, identity, kiosk, verdict) => {
    expect(judgeConnect(facts, identity, kiosk)).toBe(verdict);
  });
});

describe('publish', () => {
  const packet = (topic: string, qos = 1, retain = false) => ({ topic, qos, retain });
  test.each([
    ['a conversation', packet('simpul/v1/lapak-12/up/purchase'), 'conversation'],
    ['a conversation with quality 0', packet('simpul/v1/lapak-12/up/cardkey', 0), 'conversation'],
    ['its retained state', packet('simpul/v1/lapak-12/state', 1, true), 'state'],
    ['a conversation that does not exist', packet('simpul/v1/lapak-12/up/mint'), 'topic-foreign'],
    ['an inherited name as a conversation', packet('simpul/v1/lapak-12/up/constructor'), 'topic-foreign'],
    ['a deeper topic', packet('simpul/v1/lapak-12/up/purchase/x'), 'topic-foreign'],
    ["another's conversation", packet('simpul/v1/lapak-13/up/purchase'), 'topic-foreign'],
    ["another's state", packet('simpul/v1/lapak-13/state', 1, true), 'topic-foreign'],
    ['an answer to itself', packet('simpul/v1/lapak-12/dn/purchase'), 'topic-foreign'],
    ["the hub's beacon", packet('simpul/v1/hub/beacon', 1, true), 'topic-foreign'],
    ['$SYS', packet('$SYS/broker/new/clients'), 'topic-foreign'],
    ['nothing', packet(''), 'topic-foreign'],
    ['a retained conversation', packet('simpul/v1/lapak-12/up/purchase', 1, true), 'retain-foreign'],
    ['quality 2', packet('simpul/v1/lapak-12/up/purchase', 2), 'qos-foreign'],
  ] as const)('a kiosk that publishes %s', (_what, given, verdict) => {
    const found = judgePublish(LAPAK, given);
    expect(found.kind === 'refused' ? found.why : found.kind).toBe(verdict);
  });
});

test.each([
  ['simpul/v1/lapak-12/dn/+', true],
  ['simpul/v1/hub/+', true],
  ['simpul/v1/lapak-13/dn/+', false],
  ['simpul/v1/lapak-12/dn/#', false],
  ['simpul/v1/+/dn/+', false],
  ['simpul/v1/lapak-12/up/+', false],
  ['+/v1/hub/+', false],
  ['#', false],
  ['$SYS/#', false],
  ['', false],
])('the filter "%s" is granted: %s', (filter, granted) => {
  expect(maySubscribe(LAPAK, filter)).toBe(granted);
});

test.each([
  ['simpul/v1/lapak-12/dn/purchase', true],
  ['simpul/v1/hub/beacon', true],
  ['simpul/v1/lapak-13/dn/purchase', false],
  ['simpul/v1/lapak-12/dn/purchase/x', false],
  ['simpul/v1/lapak-12/state', false],
  ['$SYS/x/heartbeat', false],
])('a message at %s is delivered: %s', (topic, heard) => {
  expect(mayHear(LAPAK, topic)).toBe(heard);
});
