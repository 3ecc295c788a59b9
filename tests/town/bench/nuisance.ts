/** A kiosk that misbehaves, a process of its own: publishes where it may not and comes back when dropped. */
import { readFileSync } from 'node:fs';
import { hubPaths } from '../../../hub/config.ts';
import { kioskFilters, upTopic } from '../../../protocol/topics.ts';
import { kioskName, readPapers } from './fleet.ts';
import { flood, type LoadKiosk, publishPacket } from './load.ts';

export interface NuisanceOrder {
  readonly directory: string;
  readonly port: number;
  readonly secure: boolean;
}

/** Bad messages under way at once. */
const UNANSWERED = 32;
/** Messages after which it hangs up and comes back. */
const VISIT = 2000;

const { directory, port, secure } = JSON.parse(process.argv[2] ?? '') as NuisanceOrder;
const papers = readPapers(directory);
const name = kioskName(Object.keys(papers.certificates).length - 1);
const cert = papers.certificates[name];
if (cert === undefined) throw new Error('the fleet has no kiosk to spare');
const foreign = publishPacket(upTopic(kioskName(0), 'purchase'), 'x'.repeat(900), 7);
const kiosk: LoadKiosk = {
  name,
  filters: kioskFilters(name),
  tls: secure ? { key: papers.key, cert } : null,
};
const ca = readFileSync(hubPaths(directory).ca, 'utf8');
for (;;) await flood({ port, ca }, kiosk, foreign, { unanswered: UNANSWERED, messages: VISIT });
