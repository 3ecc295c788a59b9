/** Dispute notes in SQLite: few and rarely asked for, so none is kept in memory. */
import type Database from 'better-sqlite3';
import type { DisputeNote, DisputeNotes } from '../disputenotes.ts';

type Row = Omit<DisputeNote, 'by' | 'evidence'> & { readonly by: string; readonly evidence: string };

export function openDisputeNotes(db: Database.Database): DisputeNotes {
  const insert = db.prepare(`INSERT INTO dispute_note (payment, hash, at, step, who, reason, evidence)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (payment, hash) DO NOTHING`);
  const find = db.prepare(`SELECT payment, hash, at, step, who AS "by", reason, evidence FROM dispute_note
    WHERE payment = ? ORDER BY id`);
  return {
    putDisputeNote({ payment, hash, at, step, by, reason, evidence }) {
      insert.run(payment, hash, at, step, JSON.stringify(by), reason, JSON.stringify(evidence));
    },
    disputeNotes: (payment) =>
      (find.all(payment) as Row[]).map((row) => ({
        ...row,
        by: JSON.parse(row.by) as string[],
        evidence: JSON.parse(row.evidence) as string[],
      })),
  };
}
