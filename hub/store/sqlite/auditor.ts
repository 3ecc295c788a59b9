/** Auditor: reads the whole ledger in a thread of its own while the engine goes on posting. */
import { parentPort, workerData } from 'node:worker_threads';
import { auditFile } from './audit.ts';

parentPort?.postMessage(auditFile((workerData as { path: string }).path));
