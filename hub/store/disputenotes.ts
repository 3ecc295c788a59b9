/** Dispute notes: why a payment is disputed and how it was decided, in people's words; kept beside the entries. */

/** One step of a dispute as somebody asked for it. Nothing is changed or deleted; what was refused is kept too. */
export interface DisputeNote {
  /** The payment's key, `origin/seq`. */
  readonly payment: string;
  /** 32 hex digits over the request: the decision under the step's key names the one that counts. */
  readonly hash: string;
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  readonly step: 'open' | 'won' | 'lost';
  /** Names or a member's id, as they were given. */
  readonly by: readonly string[];
  readonly reason: string;
  /** References to what is kept elsewhere: a photo's name, a letter's number. */
  readonly evidence: readonly string[];
}

export interface DisputeNotes {
  /** Keeps a note; the same request a second time changes nothing. */
  putDisputeNote(note: DisputeNote): void;
  /** What was said about a payment, the oldest first. */
  disputeNotes(payment: string): readonly DisputeNote[];
}
