/** Licences, as the registry keeps them: the hub's mode, what each cooperative may do, and what is known of holders. */
import type { CooperativeId, MemberId } from '../../protocol/ids.ts';
import type { Holder, HubMode, Licence } from '../rules/licence.ts';

/** One thing of a licence or of a holder that was changed; rows are only ever added. */
export interface LicenceChange {
  /** Hub time, milliseconds since 1970 UTC. */
  readonly at: number;
  readonly cooperative: CooperativeId;
  /** Whose standing was changed; null: the cooperative's own licence. */
  readonly member: MemberId | null;
  /** What was changed, as the command calls it: `off-us`, `level` … */
  readonly what: string;
  readonly before: string;
  readonly after: string;
  /** The two who answer for it; one name where `init` wrote it down from the town file. */
  readonly officers: readonly string[];
}

/** Who changes something, and when. */
export type ChangedBy = Pick<LicenceChange, 'at' | 'officers'>;

export interface Licences {
  /** A registry in which nothing was written yet is that of a demonstration. */
  mode(): HubMode;
  /** Writes down what kind of hub this is. @throws Error if it is another kind already. */
  putMode(mode: HubMode): void;
  /** What a cooperative may do: everything in a demonstration, nothing where no licence was ever written down. */
  readonly licence: (cooperative: CooperativeId) => Licence;
  /** What is known of who holds an account; least if nothing was ever written. */
  readonly holder: (member: MemberId) => Holder;
  /**
   * Changes parts of a licence, as it stands when they are written, with a row for each part that differs.
   * @returns those rows.
   * @throws RangeError if the whole does not hold together, or in a demonstration; then nothing is changed.
   */
  changeLicence(cooperative: CooperativeId, parts: Partial<Licence>, by: ChangedBy): readonly LicenceChange[];
  /**
   * Changes what is known of a member, likewise.
   * @throws RangeError if the cooperative serves members only and would hold an account of the public.
   */
  changeHolder(member: MemberId, parts: Partial<Holder>, by: ChangedBy): readonly LicenceChange[];
  /** Every change there was, the oldest first. */
  licenceChanges(): readonly LicenceChange[];
}
