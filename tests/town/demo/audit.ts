/** Audits a closed ledger file in a process of its own and prints one JSON object; exit code 1 if it is broken. */
import { auditFile } from '../../../hub/store/sqlite/audit.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: audit LEDGER: name the ledger file of a hub that is stopped');
const { entries, total, brokenPairs, brokenAccounts, cooperatives } = auditFile(path);
const broken = [...cooperatives].filter(([, sum]) => sum !== 0n).map(([id]) => id);
const ok = total === 0n && broken.length === 0 && brokenPairs.length === 0 && brokenAccounts.length === 0;
const sums = Object.fromEntries([...cooperatives].map(([id, sum]) => [id, sum.toString()]));
console.log(JSON.stringify({ ok, entries, trialBalance: total.toString(), cooperatives: sums }));
process.exitCode = ok ? 0 : 1;
